"""Locks whose holders, waiters and judges get into each other's way, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from fakes.runner import BOOT, FakeProcesses
from jobkeepd.core.lease import ClientHolder, Lock, RunHolder
from jobkeepd.core.model import Identity, Peer
from jobkeepd.errors import LeaseLost, LockTaken, PeerUnseen, StorageFull
from jobkeepd.store.changes import Change
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock
from jobkeepd.supervisor.deathwatch import Deathwatch, Hold
from supervisor.conftest import ME, Stage

pytestmark = pytest.mark.anyio
ALICE, BOB = Peer(1000, 1000, 501), Peer(1000, 1000, 502)


async def reasons(stage: Stage) -> list[str]:
    """Why locks were released so far."""
    entries = await stage.store.entries(0, 1000)
    return [entry.data["reason"] for entry in entries if entry.kind == "lock_released"]


class SlowCommits:
    """Grants of locks are held back until `let_go`."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self._held: list[tuple[Change, Callable[[Any], None]]] = []
        self._post = stage.store.post
        monkeypatch.setattr(stage.store, "post", self._hold_back)

    def _hold_back(self, change: Change, told: Callable[[Any], None]) -> None:
        if isinstance(change, AcquireLock):
            self._held.append((change, told))
        else:
            self._post(change, told)

    def let_go(self) -> None:
        held, self._held = self._held, []
        for change, told in held:
            self._post(change, told)


async def test_who_hangs_up_while_a_lock_is_granted_does_not_keep_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would know of it until its ttl is over."""
    commits = SlowCommits(stage, monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.supervisor.locks.acquire, "crm", "lease-a", 3600.0, 0.0, ALICE)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    commits.let_go()
    await anyio.wait_all_tasks_blocked()
    assert await stage.store.locks() == []
    assert await reasons(stage) == ["given_up"]


async def test_who_asks_again_over_another_connection_keeps_what_the_first_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is the same, and somebody is there to hear of it."""
    commits = SlowCommits(stage, monkeypatch)
    taken: list[Lock] = []

    async def ask() -> None:
        taken.append(await stage.supervisor.locks.acquire("crm", "lease-a", 3600.0, 0.0, ALICE))

    async with anyio.create_task_group() as tasks, anyio.create_task_group() as first:
        first.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        first.cancel_scope.cancel()
        await anyio.lowlevel.cancel_shielded_checkpoint()
        commits.let_go()
    await anyio.wait_all_tasks_blocked()
    assert [(lock.name, lock.token) for lock in await stage.store.locks()] == [("crm", 1)]
    assert [lock.token for lock in taken] == [1]


async def test_a_holder_that_is_killed_while_its_lock_is_granted_loses_it_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is gone before the commit; no ttl is waited for."""
    commits = SlowCommits(stage, monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.supervisor.locks.acquire, "crm", "lease-a", 3600.0, 0.0, ALICE)
        await anyio.wait_all_tasks_blocked()
        stage.processes.die(ALICE.pid)
        commits.let_go()
        tasks.cancel_scope.cancel()
    await anyio.wait_all_tasks_blocked()
    assert await stage.store.locks() == []


async def test_a_lease_that_is_given_up_waits_no_more_and_gives_back_what_it_had(stage: Stage) -> None:
    """However often that is asked for; a lease of another is not touched by it."""
    locks = stage.supervisor.locks
    other = await locks.acquire("crm", "lease-b", None, 0.0, BOB)
    heard: list[Exception] = []

    async def wait() -> None:
        try:
            await locks.acquire("crm", "lease-a", None, 600.0, ALICE)
        except LeaseLost as error:
            heard.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await locks.give_up("crm", "lease-a", ALICE)
    assert len(heard) == 1
    await locks.renew("crm", other.token, 0.0, BOB)
    for _ in range(2):
        await locks.give_up("crm", "lease-b", BOB)
    assert await stage.store.locks() == []


async def test_a_forced_reset_takes_nothing_from_a_client_that_waited_for_the_lock(stage: Stage) -> None:
    """It has the lock in the commit that ends the run, under a token that nobody had before."""
    stage.runner.duration = 1e6
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "running")
    taken: list[Lock] = []

    async def wait() -> None:
        taken.append(await stage.supervisor.locks.acquire("crm", "lease-a", 3600.0, 600.0, ALICE))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await stage.supervisor.locks.reset("crm", ME, force=True, reason=None)
    await anyio.sleep(1)
    await stage.supervisor.locks.renew("crm", taken[0].token, 0.0, ALICE)
    assert taken[0].token > 1


async def test_a_reset_of_a_lock_that_changes_hands_meanwhile_is_done_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever held it when it was asked for is out, and who has it now is left alone."""
    locks = stage.supervisor.locks
    old = await locks.acquire("crm", "lease-a", None, 0.0, ALICE)
    apply = stage.store.apply

    async def late(change: Change) -> Any:
        if change.__class__.__name__ == "ResetLock":
            await locks.release("crm", old.token, ALICE)
            await locks.acquire("crm", "lease-b", None, 0.0, BOB)
        return await apply(change)

    monkeypatch.setattr(stage.store, "apply", late)
    lock, ended = await locks.reset("crm", ME, force=True, reason=None)
    assert (lock.token, ended) == (2, None)
    assert isinstance(lock.holder, ClientHolder)
    assert lock.holder.identity.pid == BOB.pid


async def test_a_client_of_which_the_kernel_tells_nothing_is_reset_by_force_alone(stage: Stage) -> None:
    """Unverifiable is not dead."""
    await stage.supervisor.locks.acquire("crm", "lease-a", None, 0.0, ALICE)
    stage.processes.hidden.add(ALICE.pid)
    with pytest.raises(LockTaken):
        await stage.supervisor.locks.reset("crm", ME, force=False, reason=None)


async def test_a_run_that_ends_just_before_it_is_ended_for_its_lock_harms_nobody(stage: Stage) -> None:
    """max_hold is judged on what was read before; the daemon goes on."""
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "running")
    (lock,) = await stage.store.locks()
    assert isinstance(lock.holder, RunHolder)
    await stage.until(job, "succeeded")
    await stage.supervisor.locks.leases._end_holder(lock, job)
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "succeeded")


async def test_a_renewal_wins_over_a_look_that_was_at_older_leases(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease of which its holder was told that it lasts is not ended as silent."""
    locks = stage.supervisor.locks
    lock = await locks.acquire("crm", "lease-a", 60.0, 0.0, ALICE)
    old = await stage.store.locks()
    await anyio.sleep(59)
    await locks.renew("crm", lock.token, 0.0, ALICE)
    await anyio.sleep(2)

    async def outdated() -> list[Lock]:
        return old

    with monkeypatch.context() as patch:
        patch.setattr(stage.store, "locks", outdated)
        await locks.leases.expire_once()
        await locks.leases.look_once()
    await locks.renew("crm", lock.token, 0.0, ALICE)


async def test_a_job_has_the_lock_as_soon_as_a_silent_clients_lease_is_over(stage: Stage) -> None:
    """Though the daemon looks at leases but three times per ttl of its own, and this one is shorter."""
    await anyio.sleep(30)
    await stage.supervisor.locks.acquire("crm", "lease-a", 2.0, 0.0, ALICE)
    before = anyio.current_time()
    (job,) = await stage.submit(lock="crm")
    await stage.until(job, "running")
    assert 2.0 <= anyio.current_time() - before < 2.5
    assert await reasons(stage) == ["expired"]


async def test_a_full_disk_delays_the_release_of_a_dead_holders_lock_and_stops_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again with the next look."""
    locks = stage.supervisor.locks
    for name in ("a", "b"):
        await locks.acquire(name, f"lease-{name}", 3600.0, 0.0, ALICE)
    apply = stage.store.apply

    async def full(change: Change) -> Any:
        if isinstance(change, ReleaseLock):
            raise StorageFull("no room")
        return await apply(change)

    with monkeypatch.context() as patch:
        patch.setattr(stage.store, "apply", full)
        stage.processes.die(ALICE.pid)
        await anyio.wait_all_tasks_blocked()
    assert len(await stage.store.locks()) == 2
    await anyio.sleep(61)
    assert await stage.store.locks() == []
    assert await reasons(stage) == ["holder_died", "holder_died"]


async def test_a_process_that_nobody_can_see_gets_no_lock(stage: Stage) -> None:
    """It has died since it connected, or is in a namespace of its own: nobody would notice its death."""
    stage.processes.die(ALICE.pid)
    with pytest.raises(PeerUnseen):
        await stage.supervisor.locks.acquire("crm", "lease-a", None, 600.0, ALICE)
    assert await stage.store.lock("crm") is None


async def test_one_watch_is_kept_for_all_locks_of_a_process() -> None:
    """Of two holds of a lock the later one counts, in whichever order they are told."""
    processes, buried = FakeProcesses(), []

    async def bury(hold: Hold) -> None:
        buried.append((hold.name, hold.token))

    one, two = Identity(BOOT, 501, 1), Identity(BOOT, 502, 1)
    async with anyio.create_task_group() as group:
        watch = Deathwatch(processes, group, bury)
        watch.watch(Hold("crm", 2, two))
        watch.watch(Hold("crm", 1, one))
        watch.watch(Hold("etl", 1, one))
        watch.watch(Hold("etl", 2, two))
        watch.watch(Hold("web", 1, two))
        assert len(watch._watches) == 1
        watch.over("web", 1)
        watch.over("etl", 1)
        await anyio.wait_all_tasks_blocked()
        processes.die(501)
        processes.die(502)
        await anyio.wait_all_tasks_blocked()
    assert buried == [("crm", 2), ("etl", 2)]
