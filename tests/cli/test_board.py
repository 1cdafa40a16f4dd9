"""The board of `top` without its screen: rows, filter, keys and their reasons, the job at length."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cli.fake_daemon import job
from jobkeep.cli.render.style import Style
from jobkeep.cli.render.text import width
from jobkeep.cli.top import detail
from jobkeep.cli.top.board import Board, Seen, Wanted
from jobkeep.cli.top.verbs import VERBS, keys, named, refusal

NOW = 1772366400.0  # 2026-03-01T12:00:00Z
TERMINAL = Style(tty=True, width=79, now=NOW)
STATUS = {"version": "1.2", "jobs": {"running": 2, "queued": 3, "failed": 4, "succeeded": 0}, "locks": 1, "sessions": 0}
LOCK = {
    "name": "crm", "token": 3, "holder": {"kind": "run", "job": "aaaa1111", "run": 1, "pid": 7, "uid": 0},
    "acquired_at": "2026-03-01T11:59:00Z", "age_s": 60.0, "stale": False, "waiting": 0,
}  # fmt: skip
PROCESS = {
    "pid": 4711, "run": "aaaa1111.2", "family": None, "verdict": "owned", "evidence": ["slot"], "action": "protected",
    "cpu_s": 1.0, "rss_bytes": 1 << 20, "age_s": 5.0, "reason": "it runs", "command": "[sleep]",
}  # fmt: skip


def board(*things: dict[str, Any], tab: str = "jobs", needle: str = "") -> Board:
    shown = Board()
    shown.needle = needle
    shown.want(Wanted(tab))
    shown.take(Seen(Wanted(tab), NOW, STATUS, list(things)))
    return shown


def rows(shown: Board, style: Style = TERMINAL) -> list[str]:
    return [row.key for row in shown.page(style)[1]]


@pytest.mark.parametrize(
    ("needle", "found"),
    [("", ["a1", "b2"]), ("client=acme", ["a1"]), ("ACME back", ["a1"]), ("acme sync", []), ("late", ["b2"]),
     ("b2", ["b2"]), ("/srv", [])],
)  # fmt: skip
def test_a_filter_wants_all_its_words(needle: str, found: list[str]) -> None:
    """Of name, id, state, health, queue, labels …, in any case; not of what rows do not tell."""
    both = [job("a1", labels={"client": "acme"}), job("b2", name="sync", health="late")]

    assert rows(board(*both, needle=needle)) == found


def test_an_empty_tab_says_why() -> None:
    """Nothing has been seen yet, there is nothing, nothing matches, or the daemon refuses."""
    unseen = Board()
    assert (rows(unseen), unseen.empty()) == ([], "…")
    assert board(tab="locks").empty() == "no lock is held"
    assert board(job(), needle="zz\x1b").empty() == "nothing matches zz\\x1b"
    refused = Board()
    refused.take(Seen(Wanted("jobs"), NOW, refused="viewers only"))
    assert refused.empty() == "viewers only"


def test_rows_are_those_of_ls_and_fit() -> None:
    """What a job calls itself moves no cursor and makes no second line."""
    shown = board(job("a1", name="evil\x1b[2J\n" + "x" * 200))
    head, (row,) = shown.page(TERMINAL)

    assert head.startswith("ID")
    assert "evil\\x1b[2J\\n" in row.line
    assert row.line.isprintable()
    assert width(row.line) <= 79


def test_every_tab_leads_to_the_job_behind_a_row() -> None:
    """The holder of a lock, whose process it is, whose run a session is; or none."""
    assert board(job("a1")).job_behind("a1") == "a1"
    assert board(LOCK, tab="locks").job_behind("crm") == "aaaa1111"
    assert board({**LOCK, "holder": None}, tab="locks").job_behind("crm") is None
    assert board(PROCESS, tab="processes").job_behind("4711") == "aaaa1111"
    assert board({**PROCESS, "run": None}, tab="processes").job_behind("4711") is None
    session = {"name": "web", "state": "ready", "job": "bbbb"}
    assert board(session, tab="sessions").job_behind("web") == "bbbb"
    assert board().job_behind("gone") is None


def test_a_lock_grows_older_without_being_looked_at() -> None:
    """Nothing tells of one that is merely held on."""
    shown = board(LOCK, tab="locks")

    assert "1 min" in shown.page(TERMINAL)[1][0].line
    later = Style(tty=True, width=79, now=NOW + 240)
    assert "5 min" in shown.page(later)[1][0].line


def test_what_is_above_counts_live_jobs_locks_and_states() -> None:
    """As far as it is known; nothing for a state that no job is in."""
    shown = board(job(), tab="jobs")

    assert shown.titles() == {"jobs": "Jobs 5", "locks": "Locks 1", "sessions": "Sessions 0", "processes": "Processes"}
    assert shown.summary(TERMINAL) == "jobkeep 1.2  ▶ running 2  · queued 3  ✗ failed 4"
    assert shown.sieve(TERMINAL) == ""
    shown.needle = "zz"
    assert shown.sieve(TERMINAL) == "zz: 0 of 1"
    shown.take(Seen(Wanted("jobs"), NOW, {**STATUS, "draining": True}))
    assert "it drains" in shown.summary(TERMINAL)
    assert (Board().summary(TERMINAL), Board().titles()["jobs"]) == ("jobkeep", "Jobs")


def test_a_key_does_what_the_daemon_allows_and_says_why_it_does_not() -> None:
    """By `actions` alone; what an older daemon does not tell is not tried."""
    cancel, force, resume, *_, forget = VERBS
    refused = {"allowed": False, "reason": "the job is running"}
    given = job(actions={"cancel": {"allowed": True, "reason": None}, "resume": refused})

    assert refusal(given, cancel) is None
    assert refusal(given, force) is None
    assert refusal(given, resume) == "the job is running"
    assert "does not say" in str(refusal(given, forget))


def test_keys_take_as_many_lines_as_they_need() -> None:
    """None is broken in two; bright is what may be done."""
    style = Style(tty=True, colour=True, width=60)
    lines = keys(job(), style)

    assert "\x1b[1mc\x1b[0m cancel" in lines[0]
    assert "\x1b[2mr resume\x1b[0m" in lines[0]
    plain = keys(None, Style(width=60))
    assert len(plain) > 1
    assert all(len(line) <= 60 and line == line.strip() for line in plain)
    assert "  ".join(plain) == "  ".join(keys(None, Style(width=1000)))


def test_a_question_names_the_job_and_nothing_else() -> None:
    """Its name comes from outside."""
    assert named(job("k3x9a0b1c2d3", name="x\x1b]0;y\n"), TERMINAL) == "job k3x9a0b1 (x\\x1b]0;y\\n)"


def test_a_job_at_length_has_reasons_facts_keys_and_output() -> None:
    """The reasons come first, the output apart; two streams are told apart."""
    explained = {"reasons": [{"kind": "lock", "text": "waits for lock crm"}]}
    seen = Seen(Wanted("jobs", "a1"), NOW, {}, job=job("a1", state="queued"), explained=explained,
                output={"stdout": ["one", "two"], "stderr": []})  # fmt: skip
    lines = detail.facts(seen, TERMINAL)

    assert lines[2] == "  - waits for lock crm"
    assert "  c  cancel" in lines
    assert detail.output(seen, TERMINAL) == ["one", "two"]
    both = replace(seen, output={"stdout": ["one"], "stderr": ["oops"]})
    assert detail.output(both, TERMINAL) == ["stdout:", "one", "stderr:", "oops"]
    gone = Seen(Wanted("jobs", "a1"), NOW, refused="there is no job a1")
    assert detail.facts(gone, TERMINAL) == ["there is no job a1"]


def test_a_look_that_comes_too_late_is_not_shown() -> None:
    """Of a job that was left meanwhile."""
    shown = board(job("a1"))
    shown.want(Wanted("jobs", "b2"))
    shown.take(Seen(Wanted("jobs", "a1"), NOW, STATUS, job=job("a1")))

    assert shown.detail is None
    assert shown.job("a1") is None
    shown.take(Seen(Wanted("jobs", "b2"), NOW, STATUS, job=job("b2")))
    assert (shown.job("a1") or {})["id"] == "b2"
