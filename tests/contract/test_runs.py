"""Runs: claimed once, guarded by their fence, ended once."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from contract.deeds import BROKEN, Heard, claim, claiming, ending, failing, item, saving, start, submit
from jobkeepd.core.model import Identity, Job, Progress, RunRef, SavedCheckpoint, Usage
from jobkeepd.errors import IllegalTransition, StaleToken, UnknownJob
from jobkeepd.store.base import Store
from jobkeepd.store.changes import Change, MakeDue, MarkRunning, RevokeClaim, SaveProgress

pytestmark = pytest.mark.anyio


async def test_a_job_is_claimed_at_most_once_at_a_time(store: Store) -> None:
    """The claimed job stays queued; a second claim gets nothing."""
    await submit(store, "a1")
    job = await claim(store, "a1")
    assert job.run is not None
    assert (job.state, job.fence, job.run.number, job.run.state, job.run.seat) == ("queued", 1, 1, "starting", "slot-1")
    assert await store.apply(claiming("a1")) is None
    assert await store.queued("default", 10) == []
    assert [open.id for open in await store.open_runs()] == ["a1"]


async def test_a_revoked_claim_leaves_a_queued_job_with_a_risen_fence(store: Store) -> None:
    """The run is gone; whoever still holds it is refused."""
    await submit(store, "a1")
    claimed = await claim(store, "a1")
    await store.apply(RevokeClaim(run=claimed.ref))
    job = await store.get("a1")
    assert (job.run, job.fence, job.state) == (None, 1, "queued")
    assert [queued.id for queued in await store.queued("default", 10)] == ["a1"]
    with pytest.raises(StaleToken):
        await store.apply(MarkRunning(run=claimed.ref, at=3.0))
    again = await claim(store, "a1")
    assert (again.ref.number, again.ref.fence) == (1, 2)


async def test_a_revoked_claim_brings_the_earlier_run_back(store: Store) -> None:
    """History is as it was before the claim."""
    await submit(store, "a1")
    await store.apply(failing(await start(store, "a1"), state="scheduled", due_at=9.0))
    before = (await store.get("a1")).run
    await store.apply(MakeDue(at=9.0))
    await store.apply(RevokeClaim(run=(await claim(store, "a1")).ref))
    assert (await store.get("a1")).run == before
    assert await store.runs("a1") == [before]


async def test_a_running_job_knows_its_process(store: Store, heard: Heard) -> None:
    """Identity and start time are the run's; the job says since when it runs."""
    await submit(store, "a1")
    job = await claim(store, "a1")
    identity = Identity("boot", 4, 5, 6)
    await store.apply(MarkRunning(run=job.ref, at=3.5, identity=identity))
    job = await store.get("a1")
    assert job.run is not None
    assert (job.state, job.started_at, job.run.state) == ("running", 3.5, "running")
    assert (job.run.started_at, job.run.identity) == (3.5, identity)
    assert heard.kinds("a1") == ["submitted", "started"]


async def test_a_succeeded_run_ends_its_job_with_a_result(store: Store, heard: Heard) -> None:
    """State, times, raw status, usage and result are there together."""
    await submit(store, "a1")
    job = await start(store, "a1")
    usage = Usage(1.5, 0.5, 1000)
    await store.apply(ending(job, status=0, usage=usage, result=Raw(b'{"x":1}'), data={"how": "exit record"}))
    job = await store.get("a1")
    assert job.run is not None
    assert (job.state, job.outcome, job.ended_at, job.attempts) == ("succeeded", "succeeded", 9.0, 0)
    assert (job.run.state, job.run.status, job.run.usage, job.run.ended_at) == ("ended", 0, usage, 9.0)
    assert await store.result("a1") == Raw(b'{"x":1}')
    assert heard.kinds("a1") == ["submitted", "started", "ended", "succeeded"]
    assert heard.entries[2].data == {"outcome": "succeeded", "status": 0, "how": "exit record"}
    assert await store.open_runs() == []


async def test_a_failure_with_attempts_left_is_scheduled_and_charged(store: Store, heard: Heard) -> None:
    """The retry is due later, and its error stays visible until then."""
    await submit(store, "a1")
    await store.apply(failing(await start(store, "a1"), state="scheduled", due_at=30.0, charge=True))
    job = await store.get("a1")
    assert (job.state, job.due_at, job.attempts, job.error, job.ended_at) == ("scheduled", 30.0, 1, BROKEN, None)
    assert await store.next_due() == 30.0
    assert heard.entries[-1].kind == "retry"
    assert heard.entries[-1].data == {"due_at": 30.0, "attempts": 1}


async def test_an_interrupted_run_is_followed_by_another(store: Store, heard: Heard) -> None:
    """The runs of a job are all on record, oldest first."""
    await submit(store, "a1")
    await store.apply(ending(await start(store, "a1"), outcome="interrupted", state="queued"))
    assert heard.entries[-1].kind == "requeued"
    job = await start(store, "a1", at=12.0)
    assert (job.ref.number, job.ref.fence, job.outcome, job.started_at) == (2, 2, None, 3.0)
    runs = await store.runs("a1")
    assert [(run.number, run.outcome, run.state) for run in runs] == [(1, "interrupted", "ended"), (2, None, "running")]


def _late(job: Job, ref: RunRef) -> list[Change]:
    return [
        RevokeClaim(run=ref),
        MarkRunning(run=ref, at=50.0),
        SaveProgress(run=ref, done=99, total=99, note=None, tallies=None, at=50.0),
        replace(saving(job, 7, item("late")), run=ref),
        ending(job, run=ref),
    ]


async def test_a_stale_fence_changes_nothing(store: Store, heard: Heard) -> None:
    """Every write on behalf of an earlier run, or of one with a wrong fence or number, is refused."""
    await submit(store, "a1")
    old = await start(store, "a1")
    await store.apply(ending(old, outcome="interrupted", state="queued"))
    job = await start(store, "a1")
    entries = len(heard.entries)
    for ref in (old.ref, RunRef("a1", 2, 1), RunRef("a1", 1, 2), RunRef("a1", 3, 3)):
        for change in _late(job, ref):
            with pytest.raises(StaleToken):
                await store.apply(change)
    assert await store.get("a1") == job
    assert await store.checkpoint("a1") == SavedCheckpoint()
    assert len(heard.entries) == entries


async def test_a_run_ends_once(store: Store) -> None:
    """The second end comes too late, whatever it says."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(ending(job))
    with pytest.raises(StaleToken):
        await store.apply(failing(job))
    assert (await store.get("a1")).state == "succeeded"


async def test_a_write_for_no_job_at_all_is_refused(store: Store) -> None:
    """A run of it does not count any more, since it may have been removed; to claim it is a mistake."""
    with pytest.raises(StaleToken):
        await store.apply(MarkRunning(run=RunRef("zz", 1, 1), at=1.0))
    with pytest.raises(UnknownJob):
        await store.apply(claiming("zz"))


async def test_an_end_that_the_lifecycle_does_not_know_is_refused(store: Store) -> None:
    """A starting run cannot succeed, a running one does not come back cancelled by itself."""
    await submit(store, "a1")
    claimed = await claim(store, "a1")
    with pytest.raises(IllegalTransition):
        await store.apply(ending(claimed))
    await store.apply(MarkRunning(run=claimed.ref, at=3.0))
    with pytest.raises(IllegalTransition):
        await store.apply(ending(claimed, outcome="cancelled", state="cancelled"))
    with pytest.raises(IllegalTransition):
        await store.apply(MarkRunning(run=claimed.ref, at=4.0))
    assert (await store.get("a1")).state == "running"


async def test_a_start_that_failed_may_fail_its_job(store: Store) -> None:
    """From queued, without ever having been running."""
    await submit(store, "a1")
    await store.apply(failing(await claim(store, "a1")))
    job = await store.get("a1")
    assert (job.state, job.started_at) == ("failed", None)


async def test_a_checkpoint_is_one_with_its_items_and_tallies(store: Store) -> None:
    """Cursor, state, tallies and failed items appear together."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 1, item("b", 2), item("a", 1)))
    job = await store.get("a1")
    assert job.progress == Progress(10, 100, "half way", {"ok": 10}, 2)
    assert (job.checkpoint_seq, job.checkpoint_at) == (1, 6.0)
    assert await store.checkpoint("a1") == SavedCheckpoint(1, Raw(b"[1]"), Raw(b'{"sum":1}'))
    assert [(i.key, i.run) for i in await store.failed_items("a1", 0, 10)] == [("a", 1), ("b", 1)]
    assert [i.key for i in await store.failed_items("a1", 1, 10)] == ["b"]


async def test_a_checkpoint_that_is_stored_already_changes_nothing(store: Store) -> None:
    """A repeated or overtaken seq is answered as done."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 2, item("a")))
    before = await store.get("a1")
    await store.apply(saving(job, 2, item("b")))
    await store.apply(saving(job, 1, item("c")))
    assert await store.get("a1") == before
    assert (await store.checkpoint("a1")).seq == 2


async def test_failed_items_are_replaced_and_resolved(store: Store) -> None:
    """The count is that of the rows; resolving wins over failing in one checkpoint."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 1, item("a"), item("b"), item("a", 5)))
    assert (await store.get("a1")).progress.failed_items == 2
    await store.apply(saving(job, 2, item("b", 7), item("c"), item("d"), resolved=("a", "d", "never")))
    assert (await store.get("a1")).progress.failed_items == 2
    assert [(i.key, i.ordinal) for i in await store.failed_items("a1", 0, 10)] == [("c", 0), ("b", 7)]


async def test_progress_moves_without_a_checkpoint(store: Store, heard: Heard) -> None:
    """Tallies stay where none are given; the journal stays silent."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 1, item("a")))
    entries = len(heard.entries)
    await store.apply(SaveProgress(run=job.ref, done=15, total=None, note="on", tallies=None, at=8.0))
    job = await store.get("a1")
    assert job.progress == Progress(15, None, "on", {"ok": 10}, 1)
    assert (job.checkpoint_seq, len(heard.entries)) == (1, entries)


async def test_from_start_forgets_progress_and_keeps_history(store: Store) -> None:
    """The next run begins with nothing, and checkpoints from 1 again."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 4, item("a")))
    await store.apply(ending(job, outcome="cancelled", state="queued", from_start=True))
    job = await store.get("a1")
    assert (job.progress, job.checkpoint_seq, job.checkpoint_at) == (Progress(), 0, None)
    assert await store.checkpoint("a1") == SavedCheckpoint()
    assert await store.failed_items("a1", 0, 10) == []
    assert len(await store.runs("a1")) == 1
    job = await start(store, "a1")
    await store.apply(saving(job, 1))
    assert (await store.checkpoint("a1")).seq == 1


async def test_what_is_sent_is_applied_in_order_and_too_late_is_no_failure(store: Store, heard: Heard) -> None:
    """A sent change that is stale is dropped; any other refusal of it is reported."""
    await submit(store, "a1")
    job = await claim(store, "a1")
    store.send(MarkRunning(run=job.ref, at=3.0))
    await store.apply(ending(job))
    store.send(MarkRunning(run=job.ref, at=3.0))
    store.send(SaveProgress(run=job.ref, done=1, total=None, note=None, tallies=None, at=3.0))
    await submit(store, "a2")
    assert heard.failures == []
    store.send(claiming("zz"))
    await submit(store, "a3")
    assert [type(error) for error in heard.failures] == [UnknownJob]
