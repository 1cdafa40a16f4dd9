"""How long jobs wait for their start: they fail without having run, and nobody waits behind them in vain."""

from __future__ import annotations

import pytest

from contract.deeds import ALICE, Heard, cancel, claim, ending, failing, new
from jobkeepd.core.model import Job, Moment
from jobkeepd.store.base import Store
from jobkeepd.store.changes import MakeDue, MarkRunning, ResumeJob, RevokeClaim, SubmitJobs
from jobkeepd.store.wait_changes import EndWait, RedateWaits

pytestmark = pytest.mark.anyio


def at(monotonic: float, boot: str = "boot") -> Moment:
    return Moment(boot, monotonic)


async def submit(store: Store, *ids: str, wait: float | None = 60.0, **spec: object) -> None:
    """At second 1 of UTC, second 100 of the boot."""
    jobs = tuple(new(id, queue_timeout_s=wait, **spec) for id in ids)
    await store.apply(SubmitJobs(jobs=jobs, by=ALICE, at=1.0, now=at(100.0)))


async def expire(store: Store, id: str, now: float = 160.0) -> Job:
    await store.apply(EndWait(job=id, at=61.0, now=at(now)))
    return await store.get(id)


async def test_a_job_that_has_waited_for_too_long_fails_without_a_run(store: Store, heard: Heard) -> None:
    """With the reason; no attempt is charged."""
    await submit(store, "a1", "a2")
    assert await store.next_overdue() == 160.0
    assert await store.overdue(159.9, 10) == []
    assert (await expire(store, "a1", 159.9)).state == "queued"
    assert sorted(await store.overdue(160.0, 10)) == ["a1", "a2"]
    job = await expire(store, "a1")
    assert (job.state, job.outcome, job.run, job.attempts, job.ended_at) == ("failed", "failed", None, 0, 61.0)
    assert job.reason == "timed out in the queue after 60 s"
    assert heard.kinds("a1") == ["submitted", "failed"]
    assert await store.overdue(160.0, 10) == ["a2"]
    assert [job.id for job in await store.queued("default", 10)] == ["a2"]


async def test_a_job_that_has_been_started_waits_no_more(store: Store) -> None:
    """Neither while it runs nor when it is queued again."""
    await submit(store, "a1")
    job = await claim(store, "a1")
    await store.apply(MarkRunning(run=job.ref, at=3.0))
    assert await store.next_overdue() is None
    assert (await expire(store, "a1")).state == "running"
    await store.apply(ending(job, outcome="interrupted", state="queued"))
    assert (await expire(store, "a1")).state == "queued"


async def test_a_claim_that_is_taken_back_does_not_end_the_waiting(store: Store) -> None:
    """While it is claimed nothing is decided."""
    await submit(store, "a1")
    job = await claim(store, "a1")
    assert (await expire(store, "a1")).run is not None
    await store.apply(RevokeClaim(run=job.ref))
    assert (await expire(store, "a1")).state == "failed"


async def test_a_job_that_waits_for_a_lock_or_a_key_says_so(store: Store, heard: Heard) -> None:
    """And its key is another's at once."""
    await submit(store, "a1", wait=None, lock="crm")
    await claim(store, "a1")
    await submit(store, "a2", lock="crm", key="k")
    job = await store.get("a2")
    assert job.blocked == "lock"
    failed = await expire(store, "a2")
    assert (failed.blocked, failed.reason) == (None, "timed out in the queue after 60 s: it waited for its lock crm")
    await submit(store, "a3", key="k")
    assert (await store.get("a3")).state == "queued"


async def test_whoever_waits_behind_it_moves_up(store: Store) -> None:
    """For its key, and for the lock that it was about to take."""
    await submit(store, "a1", key="k", lock="crm")
    change = SubmitJobs(jobs=(new("a2", key="k"),), by=ALICE, at=1.0, now=at(100.0), on_conflict="queue")
    await store.apply(change)
    assert (await store.get("a2")).blocked == "key"
    await expire(store, "a1")
    assert (await store.get("a2")).blocked is None


async def test_resume_begins_to_wait_anew_and_a_retry_does_not(store: Store) -> None:
    """A retry has been started before."""
    await submit(store, "a1", retries=1)
    job = await claim(store, "a1")
    await store.apply(MarkRunning(run=job.ref, at=3.0))
    await store.apply(failing(job, state="scheduled", due_at=20.0))
    await store.apply(MakeDue(at=20.0, now=at(120.0)))
    assert await store.next_overdue() is None
    await cancel(store, "a1")
    await store.apply(ResumeJob(job="a1", by=ALICE, at=30.0, now=at(130.0)))
    assert await store.next_overdue() == 190.0
    assert (await expire(store, "a1", 189.0)).state == "queued"
    failed = await expire(store, "a1", 190.0)
    assert (failed.state, failed.reason) == ("failed", "timed out in the queue after 60 s")


async def test_a_job_that_is_cancelled_and_resumed_has_its_own_time(store: Store) -> None:
    """What is left of the earlier waiting is void."""
    await submit(store, "a1")
    await cancel(store, "a1")
    assert (await expire(store, "a1")).state == "cancelled"
    assert await store.next_overdue() is None
    await store.apply(ResumeJob(job="a1", by=ALICE, at=200.0, now=at(300.0)))
    assert (await expire(store, "a1", 301.0)).state == "queued"


async def test_after_another_boot_utc_dates_the_waiting(store: Store) -> None:
    """The same boot leaves it as it is, wherever UTC was set to."""
    await submit(store, "a1")
    await store.apply(RedateWaits(at=1e6, now=at(110.0)))
    assert await store.next_overdue() == 160.0
    await store.apply(RedateWaits(at=41.0, now=at(5.0, "other")))
    assert await store.next_overdue() == 25.0
