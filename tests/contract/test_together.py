"""Changes that arrive together: each sees those before it, and stands or falls alone."""

from __future__ import annotations

import pytest

from contract.deeds import ALICE, Heard, claim, claiming, ending, failing, item, saving, start, submit, submitting
from jobkeepd.core.model import RunRef
from jobkeepd.errors import IllegalTransition, KeyTaken, StaleToken
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import EndRun, MakeDue, MarkRunning, Note, RequestStop, ResumeJob, RevokeClaim, SaveProgress

pytestmark = pytest.mark.anyio


async def _is_sound(store: Store, heard: Heard) -> None:
    """What was told, what is counted and what is in memory is what is stored."""
    assert [entry.seq for entry in heard.entries] == list(range(1, len(heard.entries) + 1))
    assert await store.entries(0, 1000) == heard.entries
    jobs = await store.list(JobFilter())
    counts: dict[tuple[str, str], int] = {}
    for job in jobs:
        counts[job.spec.queue, job.state] = counts.get((job.spec.queue, job.state), 0) + 1
        assert await store.get(job.id) == job
        assert await store.history(job.id) == [entry for entry in heard.entries if entry.job == job.id]
    assert await store.counts() == counts


async def test_a_run_starts_and_ends_in_one_batch(store: Store, heard: Heard) -> None:
    """Every step is told; progress and checkpoint in between are kept."""
    await submit(store, "a1")
    job = await claim(store, "a1")
    store.send(MarkRunning(run=job.ref, at=3.0))
    store.send(saving(job, 1, item("x")))
    store.send(SaveProgress(run=job.ref, done=15, total=None, note="on", tallies=None, at=8.0))
    await store.apply(ending(job))
    job = await store.get("a1")
    assert job.run is not None
    assert (job.state, job.started_at, job.ended_at, job.run.started_at) == ("succeeded", 3.0, 9.0, 3.0)
    assert (job.progress.done, job.progress.failed_items, job.checkpoint_seq) == (15, 1, 1)
    assert heard.kinds("a1") == ["submitted", "started", "ended", "succeeded"]
    assert heard.failures == []
    await _is_sound(store, heard)


async def test_a_job_lives_its_whole_life_in_one_batch(store: Store, heard: Heard) -> None:
    """From its submit to a second run, among others that do less."""
    store.send(submitting("b1", key="k", labels={"x": "y"}))
    store.send(submitting("a1", "a2", cwd="/" + "x" * 2000, labels={"x": "y"}))
    store.send(claiming("a1"))
    first = RunRef("a1", 1, 1)
    store.send(MarkRunning(run=first, at=3.0))
    store.send(EndRun(run=first, outcome="interrupted", state="queued", at=9.0))
    store.send(claiming("a1", at=10.0))
    store.send(MarkRunning(run=RunRef("a1", 2, 2), at=11.0))
    store.send(claiming("a2"))
    await store.apply(Note(kind="odd", at=12.0, job="b1", by=ALICE))
    assert heard.failures == []
    job = await store.get("a1")
    assert (job.state, job.fence, job.ref.number, job.started_at) == ("running", 2, 2, 3.0)
    assert [run.outcome for run in await store.runs("a1")] == ["interrupted", None]
    assert [open.id for open in await store.open_runs()] == ["a1", "a2"]
    assert heard.kinds("a1") == ["submitted", "started", "ended", "requeued", "started"]
    assert heard.kinds("b1") == ["submitted", "odd"]
    assert [job.id for job in await store.list(JobFilter(labels=(("x", "y"),)))] == ["a2", "a1", "b1"]
    await _is_sound(store, heard)


async def test_a_refusal_between_changes_of_one_job_leaves_them_be(store: Store, heard: Heard) -> None:
    """Whatever is wrong with it: its token, its step, its key."""
    await submit(store, "a1", key="k")
    await submit(store, "a2")
    job = await claim(store, "a1")
    store.send(MarkRunning(run=job.ref, at=3.0))
    store.send(MarkRunning(run=RunRef("a1", 1, 7), at=3.0))
    store.send(MarkRunning(run=job.ref, at=4.0))
    store.send(submitting("a3", key="k"))
    store.send(RequestStop(job="a1", stop="cancelled", by=ALICE, at=5.0))
    store.send(ending(job, outcome="cancelled", state="cancelled"))
    store.send(submitting("a5", key="k"))
    await store.apply(failing(await claim(store, "a5")))
    assert [type(error) for error in heard.failures] == [IllegalTransition, KeyTaken]
    assert heard.kinds("a1") == ["submitted", "started", "cancel_requested", "ended", "cancelled"]
    assert (await store.get("a1")).state == "cancelled"
    assert (await store.get("a5")).state == "failed"
    await _is_sound(store, heard)


async def test_a_key_passes_on_within_one_batch(store: Store, heard: Heard) -> None:
    """Free as soon as its job has ended, taken as soon as another has it."""
    await submit(store, "a1", key="k")
    job = await start(store, "a1")
    store.send(failing(job))
    store.send(submitting("a2", key="k"))
    with pytest.raises(KeyTaken):
        await store.apply(ResumeJob(job="a1", by=ALICE, at=10.0))
    store.send(RequestStop(job="a2", stop="cancelled", by=ALICE, at=11.0))
    store.send(ResumeJob(job="a1", by=ALICE, at=12.0))
    with pytest.raises(KeyTaken):
        await store.apply(submitting("a3", key="k"))
    assert heard.failures == []
    assert [(job.id, job.state) for job in await store.list(JobFilter())] == [("a2", "cancelled"), ("a1", "queued")]
    await _is_sound(store, heard)


async def test_a_retry_falls_due_in_the_batch_that_makes_it(store: Store, heard: Heard) -> None:
    """And can be claimed, and the claim revoked, at once."""
    await submit(store, "a1")
    job = await start(store, "a1")
    store.send(failing(job, state="scheduled", due_at=10.0, charge=True))
    store.send(MakeDue(at=10.0))
    store.send(claiming("a1"))
    await store.apply(RevokeClaim(run=RunRef("a1", 2, 2)))
    with pytest.raises(StaleToken):
        await store.apply(ending(job))
    job = await store.get("a1")
    assert (job.state, job.fence, job.ref.number, job.attempts, job.due_at) == ("queued", 2, 1, 1, None)
    assert heard.kinds("a1") == ["submitted", "started", "ended", "retry", "due"]
    assert heard.failures == []
    await _is_sound(store, heard)


async def test_who_posts_a_change_is_told_its_outcome(store: Store) -> None:
    """In the order of the calls, results and refusals alike."""
    told: list[str] = []
    for change in (submitting("a1"), claiming("zz"), submitting("a2")):
        store.post(change, lambda outcome: told.append(type(outcome).__name__))
    await submit(store, "a3")
    assert told == ["Submitted", "UnknownJob", "Submitted"]
    await store.aclose()
    store.post(submitting("a4"), lambda outcome: told.append(type(outcome).__name__))
    assert told[3:] == ["StoreError"]
