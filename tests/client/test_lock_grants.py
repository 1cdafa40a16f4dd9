"""How a program that awaits asks for a lock, on both event loops."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import jobkeep
from jobkeep.client import channel, locks

from .fake_daemon import Called, Drop, FakeDaemon
from .lock_scripts import HELD, LOST, Granting, Skipping
from .test_locks import PATIENCE_S, leases

pytestmark = pytest.mark.anyio


async def test_a_lock_that_is_held_says_by_whom(daemon: FakeDaemon) -> None:
    """Nothing is to be given back then."""
    daemon.on("Locks.Acquire", HELD)
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.LockHeld) as caught:
            async with jk.lock("crm"):
                pytest.fail("it is somebody else's")
    assert (caught.value.kind, caught.value.job, caught.value.since_s) == ("run", "j9", 5.0)
    assert [called.method for called in daemon.calls] == ["org.jobkeep.Locks.Acquire"]


async def test_who_is_cancelled_while_it_waits_gives_up(daemon: FakeDaemon) -> None:
    """The lock may have been granted in that moment."""
    granting = Granting(daemon)
    daemon.on("Locks.Acquire", lambda called: granting.lost.wait(PATIENCE_S) and HELD or HELD)

    async def ask(jk: jobkeep.Client) -> None:
        async with jk.lock("crm", wait="1h"):
            pytest.fail("it is somebody else's")

    async with jobkeep.connect(daemon.path) as jk:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, jk)
            await anyio.to_thread.run_sync(daemon.received, "Locks.Acquire")
            tasks.cancel_scope.cancel()
        granting.lost.set()
        assert leases(daemon, "GiveUp") == leases(daemon, "Acquire")


async def test_a_lost_grant_is_asked_for_again_under_the_same_lease(daemon: FakeDaemon) -> None:
    """So it is the same grant, and the wait has not begun anew."""
    granting = Granting(daemon)
    daemon.on("Locks.Acquire", Drop(), Drop(), {"token": 7, "ttl_s": granting.ttl_s})
    async with jobkeep.connect(daemon.path) as jk, jk.lock("crm", wait=60) as lease:
        assert lease.token == 7
    asked = daemon.received("Locks.Acquire", 3)
    waits = [called.parameters["wait_s"] for called in asked]
    assert len({called.parameters["lease"] for called in asked}) == 1
    assert waits == sorted(waits, reverse=True)
    assert waits[2] < waits[0]


async def test_a_grant_that_comes_late_is_confirmed_before_the_body_begins(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ours from when it was granted, and nobody here knows when that was."""
    skipped = Skipping(monkeypatch)

    def late(called: Called) -> dict[str, Any]:
        skipped.s += 25.0
        return {"token": 6 + len(daemon.received("Locks.Acquire")), "ttl_s": 60.0}

    def renew(called: Called) -> Any:
        return LOST if called.parameters["token"] == 7 else {}

    daemon.on("Locks.Acquire", late)
    daemon.on("Locks.Renew", renew)
    daemon.on("Locks.Release", {})
    async with jobkeep.connect(daemon.path) as jk, jk.lock("crm", wait="1h") as lease:
        assert lease.token == 8
    methods = [called.method.rpartition(".")[2] for called in daemon.calls]
    assert methods[:4] == ["Acquire", "Renew", "Acquire", "Renew"]
    assert [called.parameters["linger_s"] for called in daemon.received("Locks.Renew", 2)[:2]] == [0.0, 0.0]


async def test_a_program_that_waits_for_much_else_looks_now_and_then(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon takes only so many connections of one user."""
    monkeypatch.setattr(channel, "_CROWD", 0)
    monkeypatch.setattr(locks, "_LOOK_AGAIN_S", 0.01)
    granting = Granting(daemon)
    daemon.on("Locks.Acquire", HELD, HELD, {"token": 7, "ttl_s": granting.ttl_s}, HELD)
    async with jobkeep.connect(daemon.path) as jk:
        async with jk.lock("crm", wait="1m") as lease:
            assert lease.token == 7
        with pytest.raises(jobkeep.LockHeld):
            async with jk.lock("crm"):
                pytest.fail("it is somebody else's")
    assert {called.parameters["wait_s"] for called in daemon.received("Locks.Acquire", 4)} == {0.0}
