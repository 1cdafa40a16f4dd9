"""What a job is called, says or is told steers no terminal and fakes no line, whatever prints it."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Json, chunk, ended, job
from cli.test_render import NOW
from jobkeep.cli.live import line
from jobkeep.cli.render.job import show
from jobkeep.cli.render.jobs import rows
from jobkeep.cli.render.style import Style

EVIL = "x\x1b[2J\x9b1m\r\x08\u202e\u2066\u2028\x85\nFAKE"
TIMES = {"started_at": "2026-03-01T11:45:00Z", "ended_at": "2026-03-01T11:46:00Z"}
RUN = {"number": 1, "outcome": "failed", "exit_code": 3, "signal": None, "reason": EVIL, **TIMES}
ERROR = {"type": EVIL, "message": EVIL, "traceback": f"Traceback:\n  {EVIL}\n"}
FIELDS: Json = {
    "name": EVIL, "queue": EVIL, "labels": {EVIL: EVIL}, "key": EVIL, "lock": EVIL, "held": EVIL,
    "health": "stalled", "health_reason": EVIL, "runs": [RUN],
    "progress": {"done": 1, "total": 3, "note": EVIL, "tallies": {EVIL: 1}, "failed_items": 1},
    "actions": {"cancel": {"allowed": False, "reason": EVIL}, "resume": {"allowed": True, "reason": None}},
    "spec": {"command": [EVIL, EVIL], "function": EVIL, "arguments": {EVIL: EVIL}, "cwd": EVIL, "after": [EVIL]},
}  # fmt: skip
ALIVE = job(**FIELDS)
OVER = ended("failed", reason=EVIL, error=ERROR, **{f"job__{name}": value for name, value in FIELDS.items()})
EVENT = {
    "seq": 7, "at": "2026-03-01T11:57:00Z", "kind": EVIL, "job": EVIL, "run": 2, "by": {"uid": 1000, "pid": 5},
    "data": {"reason": EVIL, EVIL: EVIL},
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "Get": {"job": OVER},
    "List": {"jobs": [ALIVE, OVER], "next": None},
    "Wait": {"jobs": [OVER], "timed_out": False},
    "History": {"entries": [EVENT]},
    "FailedItems": {"items": [{"key": EVIL, "error": ERROR, "run": 1}], "total": 1},
    "Explain": {
        "id": EVIL, "state": "queued", "health": "ok", "reasons": [{"kind": "lock", "text": EVIL}],
        "actions": {"cancel": {"allowed": False, "reason": EVIL}},
    },
    "Sql": {"columns": [EVIL], "rows": [[EVIL]], "truncated": False},
    "Logs": lambda asked: iter([chunk(EVIL.encode())]),
    "Events": lambda asked: iter([{"event": EVENT}]),
}  # fmt: skip


def steers(text: str) -> bool:
    """Whether a character of it is more than a glyph; a line ends at a newline alone."""
    return not text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "argv",
    [
        ["ls"], ["show", "k3x9"], ["explain", "k3x9"], ["history", "k3x9"], ["wait", "k3x9"], ["watch", "k3x9"],
        ["sql", "SELECT 1"],
    ],
    ids=lambda argv: argv[0],
)  # fmt: skip
def test_nothing_that_a_command_prints_steers_a_terminal(
    jobkeep: Jobkeep, daemon: FakeDaemon, argv: list[str]
) -> None:
    """Every text of a job, its runs, its history and its reasons; nothing of it begins a line of its own."""
    daemon.answers.update(ANSWERS)
    done = jobkeep(*argv)

    assert "FAKE" in done.out + done.err
    assert not steers(done.out)
    assert not steers(done.err)
    assert not any(said.startswith("FAKE") for said in (done.out + done.err).splitlines())


@pytest.mark.parametrize("given", [ALIVE, OVER], ids=["alive", "over"])
def test_neither_does_what_is_drawn_for_a_terminal(given: Json) -> None:
    """A row, all of a job, and the bar that a foreground run draws in place."""
    style = Style(tty=True, width=100, now=NOW)
    drawn = [*rows([given], style), *show(given, [], style), line(given, EVIL, NOW)]

    assert any("FAKE" in each for each in drawn)
    assert [each for each in drawn if not each.isprintable()] == []


def test_output_is_passed_on_byte_for_byte(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """`logs` is what the job has written, colours included: escaping it would change it."""
    daemon.answers.update(ANSWERS)

    assert jobkeep("logs", "k3x9").out == EVIL.replace("\r\n", "\n")
