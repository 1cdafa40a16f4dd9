"""Queues on the command line: listed, paused, resumed, limited."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault

DEED = {"uid": 1000, "pid": 4711, "at": "2026-03-01T11:48:00Z", "reason": "new disk"}


def queue(name: str = "default", **fields: Any) -> dict[str, Any]:
    """As the daemon tells it."""
    return {
        "name": name, "limit": 2, "configured": 2, "running": 1, "queued": 5, "scheduled": 0, "paused": None,
        "limited": None, **fields,
    }  # fmt: skip


@pytest.mark.parametrize("line", [("queue", "ls"), ("queue",)])
def test_queues_are_listed_with_who_paused_them(jobkeep: Jobkeep, daemon: FakeDaemon, line: tuple[str, ...]) -> None:
    """And why; bare `queue` lists them, too."""
    daemon.answers["List"] = {"queues": [queue(), queue("io", paused=DEED, configured=None, running=0)]}
    done = jobkeep(*line)
    rows = [row.split() for row in done.out.splitlines()]
    assert rows[0] == ["QUEUE", "RUNNING", "LIMIT", "QUEUED", "SCHEDULED", "STATE"]
    assert rows[1] == ["default", "1", "2", "5"]
    assert " ".join(rows[2]) == (
        "io 2 5 paused by uid 1000, 2026-03-01T11:48:00Z: new disk; not configured any more"
    )
    assert jobkeep("queue", "ls", "-q").out == "default\nio\n"
    assert jobkeep("queue", "--json").rows[0] == queue()


def test_a_queue_is_paused_with_a_reason_and_resumed(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """The answer says what it is like now."""
    daemon.answers["Pause"] = {"queue": queue(paused=DEED)}
    daemon.answers["Resume"] = {"queue": queue()}
    done = jobkeep("queue", "pause", "default", "--reason", "new disk")
    assert done.out == (
        "default  runs 1 of at most 2 jobs, 5 queued; paused by uid 1000, 2026-03-01T11:48:00Z: new disk\n"
    )
    assert jobkeep("queue", "resume", "default").out == "default  runs 1 of at most 2 jobs, 5 queued\n"
    assert jobkeep("queue", "resume", "default", "--json").rows == [queue()]
    assert daemon.called("Pause") == [{"name": "default", "reason": "new disk"}]


def test_a_limit_is_a_number_or_the_default(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Anything else is a mistake that says what is expected; so is a queue that there is not."""
    daemon.answers["Limit"] = {"queue": queue(limit=8, limited=DEED)}
    assert "of at most 8 jobs" in jobkeep("queue", "limit", "default", "8").out
    jobkeep("queue", "limit", "default", "default")
    assert daemon.called("Limit") == [{"name": "default", "limit": 8}, {"name": "default"}]
    for wrong in ("0", "x", "10001"):
        assert jobkeep("queue", "limit", "default", wrong).code == 2


def test_a_queue_that_there_is_not_is_a_mistake(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """With those that there are."""
    message = "there is no queue nowhere; there are: default"

    def refuse(asked: dict[str, Any]) -> dict[str, Any]:
        raise Fault("UnknownQueue", message=message, queue=asked["name"], known=["default"])

    daemon.answers["Limit"] = refuse
    done = jobkeep("queue", "limit", "nowhere", "3")
    assert (done.code, message in done.err) == (2, True)
