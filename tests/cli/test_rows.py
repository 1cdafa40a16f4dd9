"""The table of `jobkeep ls` and `watch`, at any width."""

from __future__ import annotations

from typing import Any

import pytest

from cli.fake_daemon import ended, job
from jobkeep.cli.render import text, times
from jobkeep.cli.render.jobs import rows
from jobkeep.cli.render.style import Style

NOW = times.epoch("2026-03-01T12:00:00Z")
TERMINAL = Style(tty=True, width=80, now=NOW)
PIPE = Style(now=NOW)


def test_rows_align_and_show_queues_only_if_they_differ() -> None:
    """The table of `jobkeep ls` on a terminal."""
    jobs = [
        job(progress={"done": 217, "total": 360}),
        ended("failed", exit_code=1, job__id="zz9", job__name="naïve-import"),
    ]

    assert rows(jobs, TERMINAL) == [
        "ID        STATE      NAME          PROGRESS            ELAPSED  AGE",
        "k3x9a0b1  ▶ running  backup        ██████░░░░ 217/360  12 min   15 min ago",
        "zz9       ✗ failed   naïve-import  exit code 1         12 min   3 min ago",
    ]
    assert rows([job(queue="io")], PIPE) == [
        "ID        STATE      NAME    PROGRESS  ELAPSED  SINCE                 QUEUE",
        "k3x9a0b1  ▶ running  backup            12 min   2026-03-01T11:45:00Z  io",
    ]


def test_a_column_of_nothing_goes_before_anything_is_cut() -> None:
    """On a terminal that is too narrow; where there is room it stays, as it does in a pipe."""
    jobs = [job(name="n" * 36), job(state="queued", name="sync", elapsed_s=None)]

    assert "PROGRESS" in rows(jobs, PIPE)[0]
    assert "PROGRESS" in rows(jobs, Style(tty=True, width=120, now=NOW))[0]
    narrow = rows(jobs, TERMINAL)
    assert "PROGRESS" not in narrow[0]
    assert "n" * 36 in narrow[1]
    assert all(text.width(line) <= 80 for line in narrow)


@pytest.mark.parametrize("width", [8, 20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Columns go and names shrink, but nothing wraps."""
    style = Style(tty=True, width=width, now=NOW)
    jobs = [job(name="漢字" * 20, queue="io"), ended("failed", signal=9, job__name="x" * 90)]
    jobs[0]["progress"] = {"done": 1, "total": 100_000_000}

    lines = rows(jobs, style)

    assert max(map(text.width, lines)) <= width
    assert lines[1].startswith("k3x9a0b"[: min(width - 1, 7)])


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"state": "queued", "held": "it waits for the lock crm"}, "waits for the lock crm"),
        ({"state": "queued", "held": "the daemon is draining"}, "the daemon is draining"),
        ({"state": "scheduled", "outcome": {"kind": "failed", "exit_code": 3}}, "exit code 3"),
        ({"health": "late", "health_reason": "no heartbeat for 12 s"}, "no heartbeat for 12 s"),
        ({"health": "late", "health_reason": "no heartbeat", "progress": {"done": 1, "total": 2}}, "1/2"),
        ({"state": "failed", "outcome": {"kind": "lost"}, "progress": {"done": 7}}, "7  nobody saw how it ended"),
        ({"state": "cancelled", "outcome": {"kind": "cancelled", "reason": "cancelled by user 0"}}, "by user 0"),
        ({"state": "succeeded", "outcome": {"kind": "succeeded", "exit_code": 0}}, ""),
    ],
)
def test_a_row_says_what_keeps_a_job_or_how_it_failed(changes: dict[str, Any], shown: str) -> None:
    """Behind how far it is; where it runs, that is of more use."""
    title, row = rows([job(**changes)], PIPE)
    column = title.index("PROGRESS")

    assert row[column : title.index("ELAPSED")].strip() == shown


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        (TERMINAL, "ValueError: no …"),
        (Style(tty=True, width=120, now=NOW), "ValueError: no such account as ann@mail.example…"),
        (PIPE, "ValueError: no such account as ann@mail…"),
        (Style(whole_ids=True, now=NOW), "ValueError: no such account as ann@mail.example, see https://mail.example"),
    ],
)
def test_a_reason_takes_the_room_that_is_left(style: Style, shown: str) -> None:
    """No column goes for it."""
    error = {"type": "ValueError", "message": "no such account as ann@mail.example, see https://mail.example"}
    jobs = [ended("failed", error=error, job__name="a-name-of-some-length"), job(name="sync", queue="io")]

    lines = rows(jobs, style)

    assert lines[0].split()[2:] == ["NAME", "PROGRESS", "ELAPSED", "AGE" if style.tty else "SINCE", "QUEUE"]
    assert f"  {shown}  " in lines[1]
