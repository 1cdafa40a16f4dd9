"""What renderers leave out, and how they word what the daemon tells in numbers."""

from __future__ import annotations

from typing import Any

import pytest

from cli.fake_daemon import ended, job
from cli.test_render import NOW, PIPE, TERMINAL
from jobkeep.cli.diagnosis import Row
from jobkeep.cli.live import line
from jobkeep.cli.render import doctor, events, times
from jobkeep.cli.render.job import show
from jobkeep.cli.render.jobs import rows
from jobkeep.cli.render.processes import losses
from jobkeep.cli.render.recovery import explanation
from jobkeep.cli.render.style import Style


def test_an_entry_for_people_has_words_and_times() -> None:
    """No raw wait status, no epoch seconds, and nothing that only the daemon understands."""
    assert events.data("started", {"seat": "s1"}, PIPE) == ""
    assert events.data("ended", {"outcome": "failed", "status": 768, "reason": "exit code 3"}, PIPE) == (
        "failed: exit code 3"
    )
    assert events.data("ended", {"outcome": "failed", "status": 15, "reason": "timed out after 5 s"}, PIPE) == (
        "failed: timed out after 5 s, signal 15 (SIGTERM)"
    )
    assert events.data("ended", {"outcome": "failed", "status": 9}, PIPE) == "failed: signal 9 (SIGKILL)"
    assert events.data("ended", {"outcome": "succeeded", "status": 0}, PIPE) == "succeeded"
    retry = {"due_at": NOW + 0.25, "attempts": 1}
    assert events.data("retry", retry, PIPE) == "due 2026-03-01T12:00:00Z attempts=1"
    assert events.data("retry", {"due_at": NOW + 90}, TERMINAL) == "due in 2 min"


def test_times_for_a_pipe_are_exact_to_the_second() -> None:
    """In UTC; --json has them in full."""
    assert times.when("2026-03-01T11:57:00.123456Z", NOW, False) == "2026-03-01T11:57:00Z"
    assert times.iso(NOW + 0.9) == "2026-03-01T12:00:00Z"


ERROR = {"type": "ValueError", "message": "bad\x1b row", "traceback": "Traceback:\n  File\x1b[2J\n" + "\tx\n" * 30}
BEGUN = {"number": 1, "outcome": "failed", "started_at": "2026-03-01T11:41:00Z", "ended_at": "2026-03-01T11:42:00Z"}


def test_show_has_the_error_of_the_last_run_and_the_end_of_its_traceback() -> None:
    """20 lines, with nothing in them that steers a terminal."""
    second = {**BEGUN, "number": 2}
    given = ended("failed", error=ERROR, job__kind="function", job__runs=[BEGUN, second], job__attempt=2)
    lines = show(given, [], PIPE)
    begin = lines.index("traceback:")

    assert [line.split("Z  ")[-1] for line in lines if line.startswith(("  1 ", "  2 "))] == [
        "ValueError: bad\\x1b row",
        "2026-03-01T11:42:00Z",
    ]
    assert lines[begin + 1] == "  …"
    assert lines[begin + 2 : begin + 22] == ["          x"] * 20
    assert not any("\x1b" in line for line in lines)


def test_show_leaves_out_a_run_that_is_only_claimed() -> None:
    """One that could not be started is none of those."""
    claimed = {"number": 2, "outcome": None, "started_at": None, "ended_at": None}
    failed = {**claimed, "number": 1, "outcome": "failed", "reason": "command not found: x"}
    lines = show(job(state="queued", runs=[failed, claimed]), [], PIPE)

    assert [line.split()[0] for line in lines if "✗" in line or "running" in line] == ["1"]


def test_a_scheduled_job_is_listed_with_when_it_is_due() -> None:
    """Rather than when it last ran."""
    waiting = job(state="scheduled", due_at="2026-03-01T12:05:00Z")

    assert rows([waiting], TERMINAL)[1].endswith("due in 5 min")
    assert rows([waiting], PIPE)[1].endswith("due 2026-03-01T12:05:00Z")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"state": "queued"}, "job k3 is queued"),
        ({"state": "scheduled", "due_at": "2026-03-01T12:05:00Z"}, "job k3 is scheduled, due in 5 min"),
        ({"state": "running"}, ""),
        (
            {"progress": {"done": 1, "total": 4, "tallies": {"new": 1}, "note": "a\x1b"}, "elapsed_s": 10.0},
            "██████░░░░░░░░░░░░░░░░░░  1/4  25%  about 30 s left  1 new  a\\x1b",
        ),
    ],
)
def test_the_live_line_tells_what_a_follower_waits_for(fields: dict[str, Any], shown: str) -> None:
    """Nothing, while a job runs that reports nothing."""
    assert line(job(**fields), "k3", NOW) == shown


def test_sentences_fit_a_terminal_and_are_whole_in_a_pipe() -> None:
    """Of explain and doctor: broken between words, with a margin; a pipe gets each in one line."""
    refused = {"allowed": False, "reason": "the job is queued; only the items of a job that has ended are run again"}
    reasons = [{"kind": "lock", "text": "it waits for lock crm, held by run 1 of job k3x9a0b1 for 12 min"}]
    actions = {"resume_failed_items": refused}
    said = {"id": "k", "state": "queued", "health": "ok", "reasons": reasons, "actions": actions}
    found = [Row("sqlite", "warning", "it can damage a log that two connections write", "use another Python for it")]
    narrow = Style(tty=True, width=44, now=NOW)

    for render in (lambda style: explanation(said, style), lambda style: doctor.lines(found, style, quiet=False)):
        piped, shown = render(PIPE), render(narrow)
        assert all(len(line) <= 44 for line in shown)
        assert len(shown) > len(piped)
        assert " ".join(" ".join(shown).split()) == " ".join(" ".join(piped).split())


def test_one_is_not_called_many() -> None:
    """Of what an emergency ends."""
    report = {"dry_run": True, "daemon": [7], "survivors": [], "unrecorded": None, "queues": []}
    killed = {"processes": [{"action": "would_kill"}], "runs": 1, "sessions": 1, "locks": 2}
    assert losses({**report, **killed}) == [
        "would end: daemon 7, 1 process, 1 run, 1 session, 2 locks of clients"
    ]
