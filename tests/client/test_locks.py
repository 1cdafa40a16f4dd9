"""Locks of a program that awaits, on both event loops."""

from __future__ import annotations

import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import jobkeep
from jobkeep.client import keeper, locks

from .fake_daemon import Called, Drop, FakeDaemon
from .lock_scripts import LOST, Granting, Skipping

pytestmark = pytest.mark.anyio  # of those that await

PATIENCE_S = 60.0


async def for_ever() -> None:
    with anyio.fail_after(PATIENCE_S):
        await anyio.sleep_forever()


def leases(daemon: FakeDaemon, method: str, count: int = 1) -> list[str]:
    return [called.parameters["lease"] for called in daemon.received(f"Locks.{method}", count)]


async def test_a_lock_is_held_renewed_and_given_back(daemon: FakeDaemon) -> None:
    """Renewals have a connection of their own, and what is asked for is what was said."""
    Granting(daemon, linger_s=0.05)
    async with jobkeep.connect(daemon.path) as jk, jk.lock("crm", ttl="1.5s", wait="1m") as lease:
        assert (lease.name, lease.token, lease.lost) == ("crm", 7, False)
        lease.check()
        await anyio.to_thread.run_sync(daemon.received, "Locks.Renew", 4)
    (asked,) = daemon.received("Locks.Acquire")
    (released,) = daemon.received("Locks.Release")
    renewals = daemon.received("Locks.Renew")
    assert (asked.parameters["ttl_s"], asked.parameters["name"]) == (1.5, "crm")
    assert 0 < asked.parameters["wait_s"] <= 60
    assert released.parameters == {"name": "crm", "token": 7}
    assert {called.parameters["token"] for called in renewals} == {7}
    assert {called.connection for called in renewals}.isdisjoint({asked.connection, released.connection})
    assert not lease.lost


async def test_the_body_is_cancelled_when_the_lease_is_lost(daemon: FakeDaemon) -> None:
    """At once: the renewal lingers in the daemon, and so hears of it."""
    granting = Granting(daemon)
    ended = False
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.LeaseLost, match="the lock crm is lost: ") as caught:  # noqa: PT012
            async with jk.lock("crm") as lease:
                await anyio.to_thread.run_sync(daemon.received, "Locks.Renew")
                granting.lost.set()
                await for_ever()
                ended = True
    assert (caught.value.name, caught.value.token, lease.lost, ended) == ("crm", 7, True, False)
    with pytest.raises(jobkeep.LeaseLost):
        lease.check()


async def test_a_body_that_goes_on_all_the_same_hears_of_it_when_it_leaves(daemon: FakeDaemon) -> None:
    """It may have swallowed its cancellation, or never looked up."""
    granting = Granting(daemon)
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.LeaseLost):  # noqa: PT012 - leaving the block is what raises
            async with jk.lock("crm"):
                await anyio.to_thread.run_sync(daemon.received, "Locks.Renew")
                with anyio.CancelScope(shield=True):
                    granting.lost.set()
                    await anyio.sleep(0.05)


async def test_without_a_daemon_the_lease_is_lost_after_its_ttl(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the holder: somebody else may have the lock from then on."""
    monkeypatch.setattr(locks, "LAST_WORD_S", 0.1)
    skipped = Skipping(monkeypatch)
    Granting(daemon, linger_s=0.05)
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.LeaseLost, match="not renewed for 60 s"):  # noqa: PT012
            async with jk.lock("crm") as lease:
                await anyio.to_thread.run_sync(daemon.received, "Locks.Renew", 3)
                daemon.stop()
                skipped.s = 40.0
                assert not lease.lost
                skipped.s = 60.0
                await for_ever()


async def test_a_daemon_that_hangs_is_as_bad_as_none(daemon: FakeDaemon) -> None:
    """It takes connections, and answers nothing."""
    granting = Granting(daemon, ttl_s=0.4, linger_s=0.0)

    def hang(called: Called) -> dict[str, Any]:
        if called.parameters["linger_s"]:  # else it confirms a grant that came late
            granting.lost.wait(PATIENCE_S)
        return {}

    daemon.on("Locks.Renew", hang)
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.LeaseLost, match="did not answer"):
            async with jk.lock("crm"):
                await for_ever()
    granting.lost.set()


async def test_a_restart_of_the_daemon_within_the_ttl_is_survived(daemon: FakeDaemon) -> None:
    """The lease is taken up again over a new connection."""
    Granting(daemon, ttl_s=30.0)
    async with jobkeep.connect(daemon.path) as jk, jk.lock("crm") as lease:
        await anyio.to_thread.run_sync(daemon.received, "Locks.Renew")
        daemon.stop()
        await anyio.sleep(0.1)
        daemon.start()
        before, after = (await anyio.to_thread.run_sync(daemon.received, "Locks.Renew", 2))[:2]
        assert not lease.lost
    assert before.connection != after.connection
    assert daemon.received("Locks.Release")


async def test_a_blocked_event_loop_does_not_lose_the_lock(daemon: FakeDaemon) -> None:
    """Renewals come from a thread: nobody else may enter while the body goes on, though it goes on badly."""
    Granting(daemon, linger_s=0.05)
    async with jobkeep.connect(daemon.path) as jk, jk.lock("crm") as lease:
        until, seen = time.monotonic() + lease.left(), len(daemon.received("Locks.Renew"))
        daemon.received("Locks.Renew", seen + 6)  # which blocks the loop: that is the point
        assert time.monotonic() + lease.left() > until + 0.05
        await anyio.lowlevel.checkpoint()
        assert not lease.lost
        await anyio.sleep(0.05)


async def test_what_the_body_raises_is_what_comes_out(daemon: FakeDaemon) -> None:
    """Whatever becomes of the lock; that it was lost is added to it."""
    granting = Granting(daemon)
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(ValueError, match="mine") as caught:
            async with jk.lock("crm"):
                raise ValueError("mine")
        assert leases(daemon, "GiveUp") == leases(daemon, "Acquire")
        assert not getattr(caught.value, "__notes__", [])
        daemon.calls.clear()
        with pytest.raises(ValueError, match="mine") as caught:  # noqa: PT012 - leaving the block is what raises
            async with jk.lock("crm") as lease:
                await anyio.to_thread.run_sync(daemon.received, "Locks.Renew")
                granting.lost.set()
                with anyio.CancelScope(shield=True), anyio.fail_after(PATIENCE_S):
                    while not lease.lost:
                        await anyio.sleep(0.01)
                raise ValueError("mine")
        assert caught.value.__notes__ == ["the lock crm was lost meanwhile"]


async def test_a_body_that_is_cancelled_from_outside_gives_the_lock_back(daemon: FakeDaemon) -> None:
    """And stays cancelled."""
    Granting(daemon)
    async with jobkeep.connect(daemon.path) as jk:
        with anyio.CancelScope() as scope:
            async with jk.lock("crm"):
                scope.cancel()
                await for_ever()
        assert scope.cancelled_caught
        assert leases(daemon, "GiveUp") == leases(daemon, "Acquire")


async def test_a_release_whose_answer_is_lost_is_no_trouble(daemon: FakeDaemon) -> None:
    """To ask for it again would tell that the lock is lost, which it was not."""
    Granting(daemon)
    daemon.on("Locks.Release", Drop())
    async with jobkeep.connect(daemon.path) as jk, jk.lock("crm"):
        pass
    assert len(daemon.received("Locks.Release")) == 1
    assert leases(daemon, "GiveUp") == leases(daemon, "Acquire")


async def test_a_lock_that_was_lost_unnoticed_shows_when_it_is_given_back(daemon: FakeDaemon) -> None:
    """Then the body has not had it for all of its time."""
    Granting(daemon)
    daemon.on("Locks.Release", LOST)
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.LeaseLost):
            async with jk.lock("crm"):
                pass


async def test_many_locks_take_few_connections(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond some, renewals do not linger: that a lease is lost is heard a little later."""
    monkeypatch.setattr(keeper, "_links", keeper.threading.BoundedSemaphore(1))
    monkeypatch.setattr(jobkeep.Lease, "linger_s", 0.1)
    Granting(daemon)
    async with jobkeep.connect(daemon.path) as jk, jk.lock("a"):
        await anyio.to_thread.run_sync(daemon.received, "Locks.Renew")  # so it is the first that has the link
        async with jk.lock("b") as second:

            def renewed() -> int:
                renewals = [called.parameters for called in daemon.received("Locks.Renew")]
                return sum(asked["name"] == "b" and not asked["linger_s"] for asked in renewals)

            with anyio.fail_after(PATIENCE_S):
                while renewed() < 3:
                    await anyio.sleep(0.02)
            assert not second.lost
    lingering = [called for called in daemon.received("Locks.Renew") if called.parameters["linger_s"]]
    assert {called.parameters["name"] for called in lingering} == {"a"}


async def test_locks_are_listed_shown_and_reset(daemon: FakeDaemon) -> None:
    """By both clients alike."""
    lock = {
        "name": "crm", "token": 7, "holder": {"kind": "client", "pid": 5, "uid": 0},
        "acquired_at": "2026-01-01T00:00:00Z", "age_s": 5.0, "expires_in_s": 55.0, "stale": False, "waiting": 2,
    }  # fmt: skip
    daemon.on("Locks.List", {"locks": [lock]})
    daemon.on("Locks.Show", {"lock": lock})
    daemon.on("Locks.Reset", {"lock": {**lock, "token": 8, "holder": None}, "ended": "j9"})
    async with jobkeep.connect(daemon.path) as jk:
        assert [found.name for found in await jk.locks()] == ["crm"]
        info = await jk.lock_info("crm")
        assert info.holder is not None
        assert (info.holder.pid, info.waiting) == (5, 2)
        reply = await jk.reset_lock("crm", force=True, reason="stuck")
        assert (reply.lock.token, reply.ended) == (8, "j9")
    with jobkeep.connect_blocking(daemon.path) as blocking:
        assert blocking.locks()[0] == blocking.lock_info("crm")
        assert blocking.reset_lock("crm").lock.holder is None
    asked = [called.parameters for called in daemon.received("Locks.Reset", 2)]
    assert asked[0] == {"name": "crm", "force": True, "reason": "stuck"}


def test_a_lease_that_was_given_back_is_lost_to_nobody() -> None:
    """Not to time, and its keeper may still be asking."""
    lease = jobkeep.Lease("crm", 0.01)
    lease.asked_at = time.monotonic()
    lease.granted(7, 0.01)
    lease.given_back()
    time.sleep(0.02)
    assert not lease.lost
    assert 0 < lease.patience <= 0.01
