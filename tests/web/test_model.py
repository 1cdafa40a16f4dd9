"""What pages show, as pure functions: words, conditions, bars, masks, and the least that has changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobkeep.web.changes import APPEND, Change, Part, changes
from jobkeep.web.model import filters, masking, progress, rows, timeline, verbs, words
from jobkeep.web.model.filters import Filter
from web.fakes import event, job

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,20}\Z", fullmatch=True)
VALUES = st.text(st.characters(blacklist_categories=("Cs", "Z", "Cc")), max_size=20)


@settings(max_examples=50, deadline=None)
@given(
    tab=st.sampled_from(filters.TABS),
    queue=st.one_of(st.just(""), NAMES),
    label=st.dictionaries(NAMES, VALUES, max_size=3),
    since=st.sampled_from(["", "90s", "2h", "1h30m"]),
    before=st.one_of(st.none(), st.integers(0, 10**17)),
)
def test_an_address_comes_back_as_the_same_conditions(
    tab: str, queue: str, label: dict[str, str], since: str, before: int | None
) -> None:
    """Whatever can be asked for can be kept in an address, and nothing of it is a problem."""
    filter = Filter(tab, queue, tuple(sorted(label.items())), since, before)
    found = filters.parse(filter.fields())
    assert found == filter
    assert found.problems == ()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["state", "queue", "label", "since", "before", "x"]), st.text())))
def test_any_address_is_understood_or_told(given: list[tuple[str, str]]) -> None:
    """Nothing in an address is an error, and what is left is fit to be asked."""
    found = filters.parse(given)
    assert found.tab in filters.TABS
    assert filters.parse(found.fields()) == found


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", [("restart", ""), ("cancel", "")]),
        ("failed", [("resume", "")]),
        ("cancelled", [("resume", "")]),
        ("queued", [("cancel", "")]),
        ("succeeded", []),
    ],
)
def test_a_row_has_the_verbs_that_fit_its_state(state: str, expected: list[tuple[str, str]]) -> None:
    """By the daemon's own answer whether they are possible now."""
    assert [(verb.name, verb.refusal) for verb in verbs.of_row(job(state=state))] == expected


def test_a_verb_that_is_refused_says_why() -> None:
    """With the daemon's reason; on the page of the job all three are there."""
    found = {verb.name: verb.refusal for verb in verbs.of_page(job(state="running"))}
    assert found == {"resume": "the job is running", "restart": "", "cancel": ""}


def test_a_bar_knows_what_is_left() -> None:
    """Counts, percentage and the time at this pace; without a total it only moves; 100% is said at the end alone."""
    bar = progress.bar(job(elapsed_s=60.0, progress={"done": 250, "total": 1000, "note": "row 250"}))
    assert bar is not None
    assert (bar.counts, bar.percent, bar.left, bar.note, bar.moving) == ("250/1,000", "25%", "3 min", "row 250", True)
    bar = progress.bar(job(elapsed_s=60.0, progress={"done": 250}))
    assert bar is not None
    assert (bar.total, bar.counts, bar.percent, bar.left) == (None, "250", "", "")
    bar = progress.bar(job(progress={"done": 9999, "total": 10000}))
    assert bar is not None
    assert bar.percent == "99%"
    assert progress.bar(job(state="queued")) is None


def test_a_row_tells_what_is_wrong() -> None:
    """The error, the signal, what it waits for, or how it is stuck; nothing where all is well."""
    killed = job(state="failed", outcome={"kind": "failed", "signal": 9})
    assert rows.why(killed) == "command ended by signal 9 (SIGKILL)"
    error = {"type": "ValueError", "message": "no such address", "traceback": None}
    assert rows.why(job(state="failed", outcome={"kind": "failed", "error": error})) == "ValueError: no such address"
    assert rows.why(job(state="queued", held="it waits for the lock crm")) == "it waits for the lock crm"
    assert rows.why(job(health="late", health_reason="its event loop is blocked")) == "its event loop is blocked"
    assert rows.why(job(state="succeeded")) == ""


def test_times_are_relative_and_exact() -> None:
    """`3 min ago` for people, with the exact time beside it."""
    moment = words.moment(NOW - timedelta(minutes=3), NOW)
    assert (moment.text, moment.iso, moment.full) == ("3 min ago", "2026-03-01T12:02:00Z", "2026-03-01 12:02:00 UTC")
    assert words.moment(NOW + timedelta(hours=2), NOW).text == "in 2.0 h"
    assert words.moment(NOW, NOW).text == "just now"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["x", "--password=a b"], ["x", "--password=••••••"]),
        (["x", "--api-key", "abc", "--verbose"], ["x", "--api-key", "••••••", "--verbose"]),
        (["env", "DB_PASSWORD=x", "run"], ["env", "DB_PASSWORD=••••••", "run"]),
        (["psql", "postgres://me:secret@db/x"], ["psql", "postgres://me:••••••@db/x"]),
        (["rsync", "-a", "--author=me", "src", "dst"], ["rsync", "-a", "--author=me", "src", "dst"]),
        (["x", "--token"], ["x", "--token"]),
        (["x", "--no-password", "--fast"], ["x", "--no-password", "--fast"]),
    ],
)
def test_command_lines_hide_secrets(argv: list[str], shown: list[str]) -> None:
    """By the names of their options and variables, and in addresses; nothing else is hidden."""
    assert masking.command(argv) == shown


def test_arguments_hide_secrets_however_deep() -> None:
    """Values of names that tell, in objects within lists; flags and empty values are no secrets."""
    value = {"db": [{"password": "x", "user": "me"}], "token": "", "use_token": True, "n": 1, "Authorization": "B x"}
    assert masking.masked(value) == {
        "db": [{"password": "••••••", "user": "me"}], "token": "", "use_token": True, "n": 1, "Authorization": "••••••",
    }  # fmt: skip


def test_the_journal_reads_as_sentences() -> None:
    """Newest first; a signal says to whom, why and by which evidence; older entries than are shown are counted."""
    signal = {"pid": 12, "signal": "SIGTERM", "command": "sh", "reason": "the job was cancelled", "evidence": ["slot"]}
    history = [
        event(1, "submitted", by={"uid": 7}, data={"queue": "io"}),
        event(2, "started", run=1),
        event(3, "signalled", run=1, data=signal),
        event(4, "ended", run=1, data={"outcome": "failed", "status": 9}),
        event(5, "ended", run=2, data={"outcome": "failed", "status": 1792, "reason": "exit code 7"}),
        event(6, "failed", run=2),
    ]
    entries, earlier = timeline.timeline(history, NOW)
    assert [(entry.title, entry.detail, entry.by) for entry in entries] == [
        ("Failed", "", ""),
        ("Run 2 ended: failed", "exit code 7", ""),
        ("Run 1 ended: failed", "signal 9 (SIGKILL)", ""),
        ("Run 1 signalled", "SIGTERM to process 12 (sh): the job was cancelled; by slot", ""),
        ("Run 1 started", "", ""),
        ("Submitted", "queue: io", "by uid 7"),
    ]
    assert earlier == 0
    assert timeline.timeline([event(n) for n in range(timeline.SHOWN + 5)], NOW)[1] == 5


def test_only_what_has_changed_is_sent() -> None:
    """A row alone where the rows are the same ones; all of the list where one came, went or moved."""
    before = Part("rows", "<a/><b/>", {"a": "<a/>", "b": "<b/>"})
    known = {"rows": before, "tabs": Part("tabs", "t")}
    other = Part("rows", "<a/><b2/>", {"a": "<a/>", "b": "<b2/>"})
    assert changes(known, [before, Part("tabs", "t")]) == []
    assert changes(known, [other]) == [Change("b", "<b2/>")]
    moved = Part("rows", "<b/><a/>", {"b": "<b/>", "a": "<a/>"})
    assert changes(known, [moved]) == [Change("rows", "<b/><a/>")]
    assert changes({}, [before]) == [Change("rows", "<a/><b/>")]
    assert Change("log", "x", APPEND).markup() == '<hx-partial hx-target="#log" hx-swap="beforeend">x</hx-partial>'
