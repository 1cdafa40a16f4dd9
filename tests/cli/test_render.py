"""Renderers: JSON of the wire in, lines of text out."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cli.fake_daemon import ended, job
from jobkeep.cli.render import events, progress, text, times
from jobkeep.cli.render.daemon import query
from jobkeep.cli.render.job import sentence, show
from jobkeep.cli.render.jobs import rows
from jobkeep.cli.render.outcome import cause
from jobkeep.cli.render.style import STATES, Style
from jobkeep.cli.render.table import table

NOW = times.epoch("2026-03-01T12:00:00Z")
TERMINAL = Style(tty=True, width=80, now=NOW)
PIPE = Style(now=NOW)
COLOURED = Style(tty=True, colour=True, width=80, now=NOW)


def test_times_are_read_as_utc() -> None:
    """Epoch seconds, leap days and fractions included."""
    assert times.epoch("1970-01-01T00:00:00Z") == 0
    assert times.epoch("2024-02-29T23:59:59.5Z") == 1709251199.5
    assert times.epoch("2026-11-25T13:00:00+00:00") == 1795611600


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"), (3.21, "3.2 s"), (45, "45 s"), (59.7, "1 min"), (720, "12 min"), (3599, "1.0 h"),
        (12600, "3.5 h"), (80000, "22 h"), (172800, "2.0 d"), (40 * 86400, "40 d"), (-5, "0.0 s"),
    ],
)  # fmt: skip
def test_durations_have_two_digits(seconds: float, shown: str) -> None:
    """Enough to see what matters."""
    assert times.span(seconds) == shown


def test_relative_times_look_both_ways() -> None:
    """Past, now and due."""
    assert times.ago("2026-03-01T11:57:00Z", NOW) == "3 min ago"
    assert times.ago("2026-03-01T12:00:00.5Z", NOW) == "just now"
    assert times.ago("2026-03-01T14:00:00Z", NOW) == "in 2.0 h"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ünï 漢", "plain ünï 漢"), ("a\x1b[31mb", "a\\x1b[31mb"), ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b1m", "\\x9b1m"), ("a\u202eb", "a\\u202eb"), ("\ud800", "\\ud800"), ("\x7f", "\\x7f"),
    ],
)  # fmt: skip
def test_control_characters_are_escaped(raw: str, shown: str) -> None:
    """Nothing that steers a terminal or reorders a line gets through."""
    assert text.escape(raw) == shown


@pytest.mark.parametrize(
    ("raw", "columns", "shown"), [("abcdef", 4, "abc…"), ("漢字漢字", 5, "漢字…"), ("abc", 3, "abc"), ("abc", 0, "")]
)
def test_text_is_cut_by_columns(raw: str, columns: int, shown: str) -> None:
    """Wide characters count twice."""
    assert text.clip(raw, columns) == shown


@pytest.mark.parametrize(
    ("raw", "columns", "lines"),
    [
        ("one two three", None, ["one two three"]), ("one two three", 13, ["one two three"]),
        ("one two three", 9, ["one two", "  three"]), ("漢字 漢字 a", 9, ["漢字 漢字", "  a"]),
        ("a " + "x" * 20, 9, ["a", "  " + "x" * 20]), ("  - one two", 7, ["  - one", "  two"]),
    ],
)  # fmt: skip
def test_sentences_are_wrapped_between_words(raw: str, columns: int | None, lines: list[str]) -> None:
    """By columns; what is longer than a line is not cut."""
    assert text.wrapped(raw, columns, 2) == lines


def test_a_moment_is_seen_from_when_the_answer_has_come() -> None:
    """Not from when it was asked for: nothing that has begun meanwhile begins in the future."""
    style = Style(tty=True, now=None)
    asked = time.time()
    while time.time() == asked:
        pass
    assert style.now > asked
    assert style.now == style.now


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (job(), "▶ running for 12 min"),
        (job(attempt=3), "▶ running for 12 min (run 3)"),
        (job(health="late", heartbeat_age_s=40.0), "▶ running for 12 min, ! late: no heartbeat for 40 s"),
        (job(health="late", health_reason="its loop is blocked"), "▶ running for 12 min, ! late: its loop is blocked"),
        (job(state="queued", elapsed_s=None), "· queued, submitted 20 min ago"),
        (job(state="scheduled", due_at="2026-03-01T12:05:00Z", attempt=0), "◷ scheduled, due in 5 min"),
        (job(state="scheduled", due_at="2026-03-01T12:00:12Z", attempt=1), "◷ scheduled, next retry in 12 s"),
        (ended(), "✓ succeeded 3 min ago after 12 min"),
        (ended("failed", exit_code=3), "✗ failed 3 min ago after 12 min: exit code 3"),
        (
            ended("failed", signal=9, job__kind="function"),
            "✗ failed 3 min ago after 12 min: worker ended by signal 9 (SIGKILL)",
        ),
        (
            ended("failed", error={"type": "ValueError", "message": "bad\nrow\x1b[2J"}, job__kind="function"),
            "✗ failed 3 min ago after 12 min: ValueError: bad\\nrow\\x1b[2J",
        ),
        (ended("cancelled", reason="superseded"), "⊘ cancelled 3 min ago after 12 min: superseded"),
    ],
)
def test_a_job_is_told_in_a_sentence(given: dict[str, Any], expected: str) -> None:
    """State, since when, for how long, and why."""
    assert sentence(given, TERMINAL) == expected


def test_a_sentence_for_programs_has_an_iso_time() -> None:
    """Off a terminal nothing is relative."""
    assert sentence(ended(), PIPE) == "✓ succeeded at 2026-03-01T11:57:00Z after 12 min"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (None, ""),
        ({"kind": "lost"}, "nobody saw how it ended"),
        ({"kind": "lost", "reason": "host_restart"}, "host_restart"),
        ({"kind": "failed", "signal": 250}, "command ended by signal 250"),
        ({"kind": "failed", "exit_code": 1, "reason": "timeout"}, "timeout"),
        ({"kind": "failed", "signal": 9, "reason": "signal 9 (SIGKILL)"}, "command ended by signal 9 (SIGKILL)"),
        ({"kind": "failed", "signal": 15, "reason": "timed out after 5 s"}, "timed out after 5 s"),
        ({"kind": "cancelled"}, ""),
    ],
)
def test_a_cause_is_what_is_known(outcome: dict[str, Any] | None, expected: str) -> None:
    """Nothing is invented."""
    assert cause(outcome, "command") == expected


def test_bars_are_filled_in_eighths() -> None:
    """From empty to full, whatever the numbers."""
    assert progress.bar(0, 10, 4) == "░░░░"
    assert progress.bar(5, 8, 2) == "█▎"
    assert progress.bar(20, 10, 4) == "████"
    assert progress.bar(1, 0, 4) == "████"


def test_progress_tells_what_is_left() -> None:
    """At the pace so far, while it runs."""
    half = {"done": 180, "total": 360}

    assert progress.full(half, 720.0, True, False) == "180/360  50%  about 12 min left"
    assert progress.full(half, 720.0, False, True) == "████████████░░░░░░░░░░░░  180/360  50%"
    assert progress.full({"done": 5, "total": None}, 1.0, True, True) == "5"


def test_a_state_has_glyph_word_and_colour() -> None:
    """Each of them tells it, so that none is needed."""
    for state, (glyph, colour) in STATES.items():
        line = rows([job(state=state)], COLOURED)[1]
        assert f"\x1b[{colour}m{glyph} {state}\x1b[0m" in line


def test_show_tells_everything_in_order() -> None:
    """Sentence, facts, runs newest first, failed items, then what can be done."""
    runs = [
        {"number": 1, "outcome": "lost", "started_at": "2026-03-01T11:41:00Z", "ended_at": None},
        {
            "number": 2, "outcome": "failed", "started_at": "2026-03-01T11:45:00Z",
            "ended_at": "2026-03-01T11:57:00Z", "signal": 9,
        },
    ]  # fmt: skip
    given = ended(
        "failed", signal=9, job__kind="function", job__runs=runs, job__attempt=2, job__name="refresh",
        job__spec={"function": "crm.tasks:refresh", "arguments": {"path": "leads.csv"}, "retries": 3, "cwd": "/srv"},
        job__progress={"done": 228, "total": 360, "tallies": {"failed": 11, "added": 217}, "failed_items": 11},
        job__checkpoint={"seq": 45, "at": "2026-03-01T11:56:30Z"}, job__labels={"client": "acme"}, job__steps=3,
        job__actions={"cancel": {"allowed": False, "reason": "it has ended"}, "resume": {"allowed": True},
                      "resume_failed_items": {"allowed": True}},
    )  # fmt: skip
    items = [{"key": "row-7", "error": {"type": "ValueError", "message": "no e-mail"}}]

    assert show(given, items, TERMINAL) == SHOWN.splitlines()


SHOWN = """\
refresh  k3x9a0b1
✗ failed 3 min ago after 12 min: worker ended by signal 9 (SIGKILL)

  function    crm.tasks:refresh(path='leads.csv')
  directory   /srv
  progress    ███████████████▏░░░░░░░░  228/360  63%
  tallies     217 added, 11 failed
  queue       default
  labels      client=acme
  policy      3 retries
  created     20 min ago
  started     15 min ago
  ended       3 min ago
  checkpoint  #45, 4 min ago
  steps       3 done, not run again

  RUN  OUTCOME   STARTED     ENDED      WHY
  2    ✗ failed  15 min ago  3 min ago  worker ended by signal 9 (SIGKILL)
  1    ? lost    19 min ago  -          nobody saw how it ended

  FAILED ITEM  ERROR
  row-7        ValueError: no e-mail
  and 10 more

possible now:
  jobkeep resume k3x9a0b1
  jobkeep resume k3x9a0b1 --failed-items"""


def test_a_signal_says_to_whom_why_and_by_which_evidence() -> None:
    """In one sentence, without what only the daemon understands."""
    data = {
        "signal": "SIGTERM", "pid": 4711, "boot_id": "b", "start_ticks": 7, "pidfd_inode": 9, "scope": "group",
        "command": "sh", "evidence": ["record", "slot"], "reason": "the job was cancelled", "cause": "hand",
    }  # fmt: skip
    assert events.data("signalled", data, PIPE) == (
        "SIGTERM to the group of process 4711 (start 7, inode 9, sh): the job was cancelled; by record, slot cause=hand"
    )


def test_an_event_is_one_line() -> None:
    """Seq, time, job, kind, run, who and the data."""
    event = {
        "seq": 7, "at": "2026-03-01T11:57:00Z", "kind": "cancelled", "job": "k3x9a0b1c2d3e4f5", "run": 2,
        "by": {"uid": 1000, "pid": 5}, "data": {"reason": "too\x1b late", "n": 1},
    }  # fmt: skip

    line = events.entry(event, TERMINAL)

    assert line == (
        '     7  3 min ago     k3x9a0b1  cancelled         run 2  by uid 1000  reason="too\\u001b late" n=1'
    )


def test_rows_of_a_query_are_a_table() -> None:
    """NULL is empty, control characters are escaped."""
    assert query(["id", "n"], [["a\x1b", None], ["b", 2.5]], PIPE) == ["id     n", "a\\x1b", "b      2.5"]
    assert query([], [], PIPE) == []


def test_a_table_without_rows_has_its_titles() -> None:
    """An empty answer is still an answer."""
    assert table(["A", "B"], [], PIPE) == ["A  B"]
