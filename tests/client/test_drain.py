"""Draining the daemon from a program."""

from __future__ import annotations

from typing import Any

import pytest

import jobkeep

from .fake_daemon import Drop, FakeDaemon

pytestmark = pytest.mark.anyio

RUN = {"id": "abc12345", "name": "f", "kind": "function", "run": 1, "outcome": "interrupted", "waited_for": True}
REPLY: dict[str, Any] = {
    "draining": True, "drained": True, "since": "2026-01-01T00:00:00Z", "interrupted": [RUN], "ended": [],
    "running": [],
}  # fmt: skip


async def test_a_drain_returns_what_became_of_each_run(daemon: FakeDaemon) -> None:
    """And is called off with the same words."""
    daemon.on("Admin.Drain", REPLY)
    daemon.on("Admin.Undrain", {"drained": True})

    async with jobkeep.connect(daemon.path) as jk:
        reply = await jk.drain("2m", commands="leave")
        assert (reply.drained, [run.id for run in reply.interrupted]) == (True, ["abc12345"])
        await jk.drain(timeout=None)
        assert await jk.undrain()
    with jobkeep.connect_blocking(daemon.path) as blocking:
        assert blocking.drain().interrupted[0].outcome == "interrupted"
        assert blocking.undrain()

    asked = [called.parameters for called in daemon.received("Admin.Drain", 3)]
    assert asked == [
        {"commands": "leave", "timeout_s": 120.0},
        {"commands": "wait", "timeout_s": None},
        {"commands": "wait", "timeout_s": 60.0},
    ]


async def test_a_drain_is_not_asked_of_the_next_daemon(daemon: FakeDaemon) -> None:
    """It was started to start jobs."""
    daemon.on("Admin.Drain", Drop(), REPLY)

    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.ConnectionLost):
            await jk.drain()
    with jobkeep.connect_blocking(daemon.path) as blocking:
        daemon.on("Admin.Drain", Drop(), REPLY)
        with pytest.raises(jobkeep.ConnectionLost):
            blocking.drain()
    assert len(daemon.received("Admin.Drain", 2)) == 2
