"""What people ask for: cancel, restart, resume; and what becomes due."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from contract.deeds import ALICE, Heard, claim, ending, failing, item, saving, start, submit
from jobkeepd.core.model import Job
from jobkeepd.errors import IllegalTransition, KeyTaken, UnknownJob
from jobkeepd.store.base import Store
from jobkeepd.store.changes import MakeDue, MarkRunning, RequestStop, ResumeJob, RevokeClaim

pytestmark = pytest.mark.anyio


def stopping(id: str, stop: str = "cancelled", *, force: bool = False) -> RequestStop:
    return RequestStop(job=id, stop=stop, by=ALICE, at=6.0, force=force, reason="enough")


BY_ALICE = f"cancelled by user {ALICE.uid}: enough"


def resuming(id: str, *, failed_items: bool = False) -> ResumeJob:
    return ResumeJob(job=id, by=ALICE, at=20.0, failed_items=failed_items)


async def test_a_queued_job_is_cancelled_at_once(store: Store, heard: Heard) -> None:
    """Nothing runs, so nothing has to be waited for."""
    await submit(store, "a1")
    job = await store.apply(stopping("a1"))
    assert job == await store.get("a1")
    assert (job.state, job.ended_at, job.outcome, job.reason) == ("cancelled", 6.0, "cancelled", BY_ALICE)
    assert heard.kinds("a1") == ["submitted", "cancel_requested", "cancelled"]
    assert heard.entries[1].by == ALICE


async def test_a_running_job_is_cancelling_until_its_run_has_ended(store: Store) -> None:
    """The wish is recorded; the end of the run makes it true."""
    await submit(store, "a1")
    job = await start(store, "a1")
    cancelling = await store.apply(stopping("a1"))
    assert (cancelling.state, cancelling.outcome, cancelling.reason) == ("cancelling", None, BY_ALICE)
    insisting = await store.apply(replace(stopping("a1", force=True), by=None, reason="again"))
    assert (insisting.stop, insisting.reason) == ("cancelled", BY_ALICE)
    with pytest.raises(IllegalTransition):
        await store.apply(ending(job, outcome="interrupted", state="queued"))
    await store.apply(ending(job, outcome="cancelled", state="cancelled"))
    job = await store.get("a1")
    assert (job.state, job.stop, job.outcome) == ("cancelled", None, "cancelled")


async def test_a_success_that_wins_the_race_stays_a_success(store: Store) -> None:
    """What a cancelling run achieved is true."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(stopping("a1"))
    await store.apply(ending(job))
    assert (await store.get("a1")).state == "succeeded"


async def test_a_wish_to_cancel_a_starting_job_waits_for_its_claim(store: Store, heard: Heard) -> None:
    """Revoked: cancelled. Started: cancelling. It is never forgotten."""
    await submit(store, "a1", "a2")
    for id in ("a1", "a2"):
        await claim(store, id)
        job = await store.apply(stopping(id))
        assert (job.state, job.stop, job.reason) == ("queued", "cancelled", BY_ALICE)
    await store.apply(RevokeClaim(run=(await store.get("a1")).ref))
    revoked = await store.get("a1")
    assert (revoked.state, revoked.stop, revoked.run, revoked.reason) == ("cancelled", None, None, BY_ALICE)
    assert heard.kinds("a1")[-1] == "cancelled"
    job = await store.get("a2")
    with pytest.raises(IllegalTransition):
        await store.apply(ending(job, outcome="interrupted", state="queued"))
    await store.apply(MarkRunning(run=job.ref, at=7.0))
    started = await store.get("a2")
    assert (started.state, started.reason) == ("cancelling", BY_ALICE)


async def test_a_restart_is_remembered_until_the_run_has_ended(store: Store, heard: Heard) -> None:
    """The job keeps running meanwhile, and goes on afterwards without a charge."""
    await submit(store, "a1")
    job = await start(store, "a1")
    assert (await store.apply(stopping("a1", "restart_from_start"))).stop == "restart_from_start"
    await store.apply(ending(job, outcome="cancelled", state="queued"))
    job = await store.get("a1")
    assert (job.state, job.stop, job.attempts) == ("queued", None, 0)
    assert "restart_requested" in heard.kinds("a1")


async def test_what_is_not_allowed_is_refused_with_the_reason(store: Store, heard: Heard) -> None:
    """The words are those of core.lifecycle."""
    await submit(store, "a1", "a2")
    await store.apply(ending(await start(store, "a1")))
    entries = len(heard.entries)
    for change, reason in (
        (stopping("a1"), "succeeded already"),
        (stopping("a1", "restart"), "the job has succeeded; submit it again"),
        (resuming("a1"), "submit it again"),
        (resuming("a1", failed_items=True), "no failed items"),
        (resuming("a2"), "the job is queued"),
        (stopping("a2", "restart"), "the job is queued"),
    ):
        with pytest.raises(IllegalTransition, match=reason):
            await store.apply(change)
    with pytest.raises(UnknownJob):
        await store.apply(stopping("zz"))
    assert len(heard.entries) == entries


async def _failed(store: Store) -> Job:
    await submit(store, "a1", key="k")
    job = await start(store, "a1")
    await store.apply(saving(job, 3, item("x")))
    await store.apply(failing(job, charge=True, result=Raw(b"1")))
    return await store.get("a1")


async def test_a_resumed_job_starts_anew_from_its_checkpoint(store: Store, heard: Heard) -> None:
    """End, outcome, error, attempts and result are cleared; progress and checkpoint stay."""
    failed = await _failed(store)
    assert (failed.attempts, failed.only_failed) == (1, False)
    job = await store.apply(resuming("a1", failed_items=True))
    assert (job.state, job.attempts, job.only_failed) == ("queued", 0, True)
    assert (job.ended_at, job.outcome, job.reason, job.error) == (None, None, None, None)
    assert (job.progress, job.checkpoint_seq) == (failed.progress, 3)
    assert await store.result("a1") is None
    assert heard.entries[-1].data == {"failed_items": True}
    assert (await claim(store, "a1")).only_failed


async def test_a_job_whose_key_is_live_again_is_not_resumed(store: Store) -> None:
    """Two live jobs would have one key."""
    await _failed(store)
    await submit(store, "a2", key="k")
    with pytest.raises(KeyTaken) as caught:
        await store.apply(resuming("a1"))
    assert caught.value.job == "a2"


async def test_a_succeeded_job_is_resumed_for_its_failed_items_only(store: Store) -> None:
    """It has something left to do then."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 1, item("x")))
    await store.apply(ending(job))
    with pytest.raises(IllegalTransition):
        await store.apply(resuming("a1"))
    assert (await store.apply(resuming("a1", failed_items=True))).state == "queued"


async def test_scheduled_jobs_are_queued_when_they_are_due(store: Store, heard: Heard) -> None:
    """The earliest first, at most `limit`."""
    await submit(store, "a1", "a2", "a3")
    for id, due_at in (("a1", 30.0), ("a2", 20.0), ("a3", 40.0)):
        await store.apply(failing(await start(store, id), state="scheduled", due_at=due_at))
    assert await store.next_due() == 20.0
    assert await store.apply(MakeDue(at=10.0)) == ()
    assert await store.apply(MakeDue(at=35.0, limit=1)) == ("a2",)
    assert await store.apply(MakeDue(at=35.0)) == ("a1",)
    job = await store.get("a1")
    assert (job.state, job.due_at) == ("queued", None)
    assert heard.kinds("a1")[-1] == "due"
    await store.apply(stopping("a3"))
    assert await store.next_due() is None
