"""Locks: of jobs and of clients, one owner at a time; and keys that have a holder and one who waits."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contract.deeds import (
    ALICE,
    Heard,
    acquiring,
    at,
    blocked,
    cancel,
    claim,
    claiming,
    ending,
    failing,
    start,
    submit,
    submitting,
)
from jobkeepd.core.lease import Lock, RunHolder
from jobkeepd.core.model import Job
from jobkeepd.errors import LeaseLost, LockTaken, StaleToken, UnknownLock
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import FenceRun, MarkRunning, ResumeJob, RevokeClaim, SaveProgress
from jobkeepd.store.lock_changes import ReleaseLock, RenewLocks, ResetLock

pytestmark = pytest.mark.anyio


async def release(store: Store, lock: Lock) -> Lock:
    return await store.apply(ReleaseLock(name=lock.name, token=lock.token, at=9.0, by=ALICE))


# -- locks of jobs ----------------------------------------------------------------------------------------------------


async def test_a_run_holds_its_jobs_lock_from_its_claim_to_its_end(store: Store, heard: Heard) -> None:
    """In the same commits; the token is the run's."""
    await submit(store, "a1", lock="l")
    job = await claim(store, "a1")
    lock = await store.lock("l")
    assert lock is not None
    assert (lock.holder, lock.token) == (RunHolder("a1", 1), 1)
    assert job.run is not None
    assert job.run.lock_token == 1
    await store.apply(ending(await start_claimed(store, "a1")))
    free = await store.lock("l")
    assert free is not None
    assert (free.holder, free.token) == (None, 1)
    assert await store.locks() == []
    assert [kind for kind in heard.kinds("a1") if kind.startswith("lock")] == ["lock_acquired", "lock_released"]


async def start_claimed(store: Store, id: str) -> Job:
    job = await store.get(id)
    await store.apply(MarkRunning(run=job.ref, at=3.0))
    return await store.get(id)


async def test_of_two_jobs_with_one_lock_one_runs_and_the_other_is_not_even_queued_for_a_seat(store: Store) -> None:
    """The second claim gives nothing, and the job is out of the queue until the lock is free."""
    await submit(store, "a1", "a2", lock="l")
    first = await start(store, "a1")
    assert await store.apply(claiming("a2")) is None
    assert await store.queued("default", 9) == []
    assert await blocked(store) == ["a2"]
    assert await store.waiting("l") == 1
    await store.apply(ending(first))
    assert [job.id for job in await store.queued("default", 9)] == ["a2"]
    assert (await claim(store, "a2")).run.lock_token == 2  # type: ignore[union-attr]


async def test_a_job_submitted_under_a_held_lock_waits_from_the_beginning(store: Store) -> None:
    """It is counted and listed as queued all the same."""
    await submit(store, "a1", lock="l")
    await start(store, "a1")
    assert (await submit(store, "a2", lock="l", priority=3)).state == "queued"
    assert await store.queued("default", 9) == []
    assert [job.id for job in await store.list(JobFilter(states=("queued",), queue="default"))] == ["a2"]
    assert (await store.counts())["default", "queued"] == 1


async def test_a_free_lock_goes_to_the_first_of_each_queue(store: Store) -> None:
    """By priority, then age; a queue that stands still does not keep the lock idle."""
    await submit(store, "a1", lock="l")
    first = await start(store, "a1")
    await submit(store, "b1", lock="l", queue="night")
    await submit(store, "a2", lock="l")
    await submit(store, "a3", lock="l", priority=5)
    await submit(store, "x1", lock="other")
    await store.apply(ending(first))
    assert await blocked(store) == ["a2"]
    assert [job.id for job in await store.queued("night", 9)] == ["b1"]
    assert [job.id for job in await store.queued("default", 9)] == ["a3", "x1"]


@pytest.mark.parametrize("how", ["cancel", "revoke"])
async def test_a_lock_is_passed_on_by_whatever_ends_the_wait_for_it(store: Store, how: str) -> None:
    """The one whose turn it was is cancelled, or its claim taken back: nobody waits for a free lock."""
    await submit(store, "a1", lock="l")
    first = await start(store, "a1")
    await submit(store, "a2", lock="l")
    await submit(store, "a3", lock="l")
    await store.apply(ending(first))
    assert await blocked(store) == ["a3"]
    if how == "revoke":
        job = await claim(store, "a2")
        await cancel(store, "a2")
        await store.apply(RevokeClaim(run=job.ref))
    else:
        await cancel(store, "a2")
    assert await blocked(store) == []
    assert (await store.get("a2")).state == "cancelled"


async def test_a_retry_gives_the_lock_back_and_takes_it_anew(store: Store) -> None:
    """Between two runs of a job others may have it."""
    await submit(store, "a1", lock="l", retries=1)
    first = await start(store, "a1")
    await submit(store, "a2", lock="l")
    await store.apply(failing(first, state="scheduled", charge=True, due_at=20.0))
    assert (await claim(store, "a2")).run.lock_token == 2  # type: ignore[union-attr]


async def test_reject_refuses_a_lock_that_is_held_and_one_that_is_about_to_be(store: Store) -> None:
    """LockTaken tells who has it; return answers with that job."""
    await submit(store, "a1", lock="l")
    for _ in range(2):  # waiting for its start, then running
        with pytest.raises(LockTaken) as caught:
            await store.apply(replace(submitting("a2", lock="l"), on_conflict="reject"))
        holder = caught.value.lock.holder
        assert isinstance(holder, RunHolder)
        assert holder.job == "a1"
        answer = await store.apply(replace(submitting("a2", lock="l"), on_conflict="return"))
        assert (answer.ids, answer.created) == (("a1",), False)
        if (await store.get("a1")).state == "queued":
            await start(store, "a1")


async def test_a_resumed_job_waits_for_its_lock(store: Store) -> None:
    """As a new one would."""
    await submit(store, "a1", lock="l")
    await store.apply(failing(await start(store, "a1")))
    lock = await store.apply(acquiring())
    assert (await store.apply(ResumeJob(job="a1", by=ALICE, at=9.0))).blocked == "lock"
    await release(store, lock)
    assert await blocked(store) == []


async def test_a_fenced_run_can_write_nothing_more_but_its_job_still_holds_the_lock(store: Store, heard: Heard) -> None:
    """Fence and token rise; only its end, under the new fence, sets the lock free."""
    await submit(store, "a1", lock="l")
    job = await start(store, "a1")
    fenced = await store.apply(FenceRun(run=job.ref, at=5.0, reason="silent"))
    assert fenced.fence == job.fence + 1
    with pytest.raises(StaleToken):
        await store.apply(SaveProgress(run=job.ref, done=1, total=None, note=None, tallies=None, at=6.0))
    with pytest.raises(StaleToken):
        await store.apply(ending(job))
    lock = await store.lock("l")
    assert lock is not None
    assert (lock.holder, lock.token) == (RunHolder("a1", 1), 2)
    await store.apply(ending(fenced, outcome="lost", state="failed"))
    assert await store.locks() == []
    assert "fenced" in heard.kinds("a1")


# -- locks of clients -------------------------------------------------------------------------------------------------


async def test_a_client_holds_a_lock_and_others_are_told_who(store: Store, heard: Heard) -> None:
    """Jobs wait for it, clients are refused, and the same lease asks again for nothing."""
    lock = await store.apply(acquiring())
    assert (await store.apply(acquiring(now=110.0))).token == lock.token == 1
    with pytest.raises(LockTaken) as caught:
        await store.apply(acquiring(lease="c2"))
    assert caught.value.lock.holder.identity.pid == ALICE.pid
    await submit(store, "a1", lock="l")
    assert await blocked(store) == ["a1"]
    await release(store, lock)
    assert (await claim(store, "a1")).run.lock_token == 2  # type: ignore[union-attr]
    released = next(entry for entry in heard.entries if entry.kind == "lock_released")
    assert (released.by, released.data["reason"]) == (ALICE, "released")


async def test_a_lease_is_renewed_until_it_is_over(store: Store) -> None:
    """Afterwards it is lost for good, though nobody else has it yet."""
    lock = await store.apply(acquiring(now=100.0))
    assert await store.apply(RenewLocks(leases=(("l", lock.token),), now=at(159.0))) == ()
    assert await store.apply(RenewLocks(leases=(("l", lock.token),), now=at(218.0))) == ()
    assert await store.apply(RenewLocks(leases=(("l", lock.token), ("m", 1)), now=at(278.0))) == ("l", "m")
    other = await store.apply(acquiring(lease="c2", now=278.0))
    assert other.token == lock.token + 1
    with pytest.raises(LeaseLost):
        await release(store, lock)


async def test_a_claim_takes_a_lock_whose_lease_is_over(store: Store) -> None:
    """The lease is judged in the transaction that relies on it."""
    await submit(store, "a1", lock="l")
    await store.apply(acquiring(now=100.0))
    assert await store.apply(replace(claiming("a1"), now=at(159.0))) is None
    lock = await store.lock("l")
    assert lock is not None
    await store.apply(ReleaseLock(name="l", token=lock.token, at=9.0, reason="expired"))
    assert await store.apply(replace(claiming("a1"), now=at(161.0))) is not None


async def test_a_runs_lock_cannot_be_released_but_by_its_end(store: Store) -> None:
    """Not even with its token."""
    await submit(store, "a1", lock="l")
    await start(store, "a1")
    with pytest.raises(LeaseLost):
        await store.apply(ReleaseLock(name="l", token=1, at=9.0))
    with pytest.raises(LockTaken):
        await store.apply(ResetLock(name="l", token=1, by=ALICE, at=9.0))
    with pytest.raises(LockTaken):  # whatever is said: its end will be on record
        await store.apply(ResetLock(name="l", token=1, by=ALICE, at=9.0, left=False))


async def test_a_reset_raises_the_token_and_says_from_whom(store: Store, heard: Heard) -> None:
    """The old holder's token is refused; a lock that was never held cannot be reset."""
    lock = await store.apply(acquiring())
    reset = await store.apply(ResetLock(name="l", token=lock.token, by=ALICE, at=5.0, reason="stuck"))
    assert (reset.holder, reset.token) == (None, 2)
    assert await store.apply(RenewLocks(leases=(("l", lock.token),), now=at(101.0))) == ("l",)
    entry = heard.entries[-1]
    assert (entry.kind, entry.by, entry.data["pid"], entry.data["reason"]) == ("lock_reset", ALICE, ALICE.pid, "stuck")
    with pytest.raises(LeaseLost):
        await store.apply(ResetLock(name="l", token=lock.token, by=ALICE, at=5.0))
    with pytest.raises(UnknownLock):
        await store.apply(ResetLock(name="never", token=0, by=ALICE, at=5.0))


async def test_a_token_is_no_secret_so_only_the_holder_can_renew_and_release(store: Store) -> None:
    """Another process that has read it is told that it holds nothing."""
    lock = await store.apply(acquiring(now=100.0))
    other = replace(ALICE, pid=ALICE.pid + 1)
    assert await store.apply(RenewLocks(leases=(("l", lock.token),), now=at(110.0), pid=other.pid)) == ("l",)
    with pytest.raises(LeaseLost):
        await store.apply(ReleaseLock(name="l", token=lock.token, at=9.0, by=other))
    assert await store.apply(RenewLocks(leases=(("l", lock.token),), now=at(110.0), pid=ALICE.pid)) == ()
    assert (await release(store, lock)).holder is None


async def test_a_lease_that_was_renewed_meanwhile_is_not_taken_for_over(store: Store) -> None:
    """Whether it is over is asked in the transaction that frees it."""
    lock = await store.apply(acquiring(now=100.0))
    await store.apply(RenewLocks(leases=(("l", lock.token),), now=at(159.0)))
    expired = ReleaseLock(name="l", token=lock.token, at=9.0, reason="expired", over=at(161.0))
    assert (await store.apply(expired)).holder is not None
    assert (await store.apply(replace(expired, over=at(219.0)))).holder is None
