"""Locks while the daemon runs, in virtual time: waiting, dying, running out, being reset."""

from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from jobkeepd.core.lease import ClientHolder, RunHolder
from jobkeepd.core.model import Peer
from jobkeepd.errors import LeaseLost, LockTaken
from supervisor.conftest import ME, Stage

pytestmark = pytest.mark.anyio
ALICE, BOB = Peer(1000, 1000, 501), Peer(1000, 1000, 502)


async def test_two_jobs_with_one_lock_run_one_after_the_other_and_others_overtake(stage: Stage) -> None:
    """Who waits for a lock occupies no place of the queue."""
    stage.runner.duration = 10.0
    locked = await stage.submit(3, lock="crm")
    (free,) = await stage.submit()
    await stage.until(free, "succeeded")
    for job in locked:
        await stage.until(job, "succeeded")
    order = [job for job in stage.runner.started if job in locked]
    assert sorted(order) == locked
    assert stage.runner.started.index(free) < stage.runner.started.index(order[1])
    ends = [(await stage.store.get(job)).ended_at for job in order]
    starts = [(await stage.store.get(job)).started_at for job in order]
    assert all(start >= end for start, end in zip(starts[1:], ends, strict=False))  # type: ignore[operator]


async def test_a_locked_job_is_never_claimed_ahead(stage: Stage) -> None:
    """It would keep the lock from others while it waits for its seat."""
    stage.runner.duration = 5.0
    first, second = await stage.submit(2, queue="single")
    (locked,) = await stage.submit(queue="single", lock="crm")
    await stage.until(second, "running")
    assert await stage.store.locks() == []
    await stage.until(locked, "running")
    assert [lock.name for lock in await stage.store.locks()] == ["crm"]
    await stage.until(first, "succeeded")


async def test_a_client_waits_for_a_lock_and_has_it_once_the_run_is_over(stage: Stage) -> None:
    """In the commit that ends it."""
    stage.runner.duration = 30.0
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "running")
    with pytest.raises(LockTaken):
        await stage.supervisor.locks.acquire("crm", "lease-a", None, 5.0, ALICE)
    lock = await stage.supervisor.locks.acquire("crm", "lease-a", None, 60.0, ALICE)
    assert lock.token == 2
    assert (await stage.store.get(job)).state == "succeeded"


async def test_a_dead_client_loses_its_lock_at_once(stage: Stage) -> None:
    """Not after its ttl: the kernel tells."""
    locks = stage.supervisor.locks
    await locks.acquire("crm", "lease-a", 3600.0, 0.0, ALICE)
    (job,) = await stage.submit(lock="crm")
    before = anyio.current_time()
    stage.processes.die(ALICE.pid)
    await stage.until(job, "running")
    assert anyio.current_time() - before < 1.0
    released = [entry for entry in await stage.store.entries(0, 100) if entry.kind == "lock_released"]
    assert released[0].data["reason"] == "holder_died"


async def test_a_silent_client_loses_its_lock_after_the_ttl_and_hears_so(stage: Stage) -> None:
    """A renewal that lingers ends with LeaseLost as soon as another one has the lock."""
    locks = stage.supervisor.locks
    lock = await locks.acquire("crm", "lease-a", 60.0, 0.0, ALICE)
    heard: list[float] = []

    async def hold() -> None:
        await locks.renew("crm", lock.token, 20.0, ALICE)
        with pytest.raises(LeaseLost):
            await locks.renew("crm", lock.token, 3600.0, ALICE)  # and renews no more
        heard.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        before = anyio.current_time()
        other = await locks.acquire("crm", "lease-b", 60.0, 600.0, BOB)
    assert other.token == lock.token + 1
    assert 80.0 <= heard[0] - before <= 81.0
    with pytest.raises(LeaseLost):
        await locks.release("crm", lock.token, ALICE)


async def test_a_thousand_holds_leave_no_watchman_behind(stage: Stage) -> None:
    """One task watches for a holder's death only while it holds."""
    locks = stage.supervisor.locks
    for number in range(200):
        lock = await locks.acquire("crm", f"lease-{number}", None, 0.0, ALICE)
        await locks.release("crm", lock.token, ALICE)
    assert (locks.leases._deathwatch._holds, locks.leases._deathwatch._watches) == ({}, {})
    assert locks._interest._events == {}


async def test_a_reset_ends_the_holding_run_for_sure_before_anybody_else_gets_the_lock(stage: Stage) -> None:
    """By force alone; the waiter's token is higher than the old one."""
    stage.runner.duration = 1e6
    (first,) = await stage.submit(lock="crm")
    await stage.until(first, "running")
    (second,) = await stage.submit(lock="crm")
    with pytest.raises(LockTaken):
        await stage.supervisor.locks.reset("crm", ME, force=False, reason=None)
    _, ended = await stage.supervisor.locks.reset("crm", ME, force=True, reason="stuck")
    assert ended == first
    job = await stage.store.get(first)
    assert (job.state, stage.runner.live[first]) == ("cancelled", 0)
    assert (await stage.until(second, "running")).run.lock_token > 1  # type: ignore[union-attr,operator]
    asked = [entry for entry in await stage.store.history(first) if entry.kind == "cancel_requested"]
    assert (asked[0].by, asked[0].data["reason"]) == (ME, "lock crm was reset: stuck")


@pytest.mark.parametrize("on_max_hold", ["report", "end"])
async def test_a_run_that_holds_a_lock_for_too_long_is_reported_or_ended(stage: Stage, on_max_hold: str) -> None:
    """Its process is alive, so that is the configuration's choice; told once."""
    locks = stage.supervisor.locks
    locks.leases.settings = replace(locks.leases.settings, max_hold=3600.0, on_max_hold=on_max_hold)
    stage.runner.duration = 20_000.0
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "running")
    await anyio.sleep(8000)
    found = await stage.store.get(job)
    if on_max_hold == "report":
        assert found.state == "running"
        assert (await stage.kinds(job)).count("lock_stale") == 1
    else:
        assert found.state == "cancelled"
        assert await stage.store.locks() == []


async def test_the_leases_of_runs_are_renewed_while_they_live(stage: Stage) -> None:
    """At a third of the ttl."""
    stage.runner.duration = 1000.0
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "running")
    await anyio.sleep(500)
    (lock,) = await stage.store.locks()
    assert isinstance(lock.holder, RunHolder)
    assert lock.renewed is not None
    assert anyio.current_time() - lock.renewed.monotonic <= 20.0


async def test_a_restarted_daemon_frees_what_dead_clients_hold_and_gives_the_living_a_fresh_lease(stage: Stage) -> None:
    """There was nobody to renew them: that silence was ours."""
    locks = stage.supervisor.locks
    for name, peer in (("a", ALICE), ("b", BOB)):
        await locks.acquire(name, f"lease-{name}", 60.0, 0.0, peer)
    await anyio.wait_all_tasks_blocked()
    for watch in locks.leases._deathwatch._watches.values():
        watch.holds = 0
        assert watch.scope is not None
        watch.scope.cancel()
    stage.processes.die(BOB.pid)
    await anyio.sleep(50)
    await locks.leases.recover_once()
    (kept,) = await stage.store.locks()
    assert isinstance(kept.holder, ClientHolder)
    assert (kept.name, kept.holder.identity.pid) == ("a", ALICE.pid)
    assert kept.renewed is not None
    assert kept.renewed.monotonic == anyio.current_time()
