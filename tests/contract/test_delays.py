"""Jobs that are not to start before a time: scheduled until then, whatever else they wait for."""

from __future__ import annotations

import pytest

from contract.deeds import Heard, cancel, ending, failing, start, submit
from jobkeepd.store.base import Store
from jobkeepd.store.changes import MakeDue, ResumeJob, SubmitJobs

from .deeds import ALICE, new

pytestmark = pytest.mark.anyio


async def test_a_delayed_job_is_scheduled_until_it_is_due(store: Store, heard: Heard) -> None:
    """It stands in no line before, and behind whoever came meanwhile after."""
    done = await submit(store, "a1", at=1.0, delay_s=30.0)
    assert done.state == "scheduled"
    await submit(store, "a2", at=20.0)
    job = await store.get("a1")
    assert (job.state, job.due_at) == ("scheduled", 31.0)
    assert [job.id for job in await store.queued("default", 10)] == ["a2"]
    assert await store.next_due() == 31.0
    assert await store.apply(MakeDue(at=30.9)) == ()
    assert await store.apply(MakeDue(at=31.0)) == ("a1",)
    assert [job.id for job in await store.queued("default", 10)] == ["a2", "a1"]
    assert heard.kinds("a1") == ["submitted", "due"]


async def test_a_delayed_job_has_its_key_from_the_start(store: Store) -> None:
    """Or waits for it, and is not started before it has it."""
    await submit(store, "a1", key="k")
    change = SubmitJobs(jobs=(new("a2", key="k", delay_s=5.0),), by=ALICE, at=1.0, on_conflict="queue")
    assert (await store.apply(change)).state == "scheduled"
    await store.apply(MakeDue(at=10.0))
    assert (await store.get("a2")).blocked == "key"
    await store.apply(ending(await start(store, "a1")))
    assert (await store.get("a2")).blocked is None


async def test_a_key_that_is_free_before_the_time_is_taken_over_and_nothing_started(store: Store) -> None:
    """The time counts on."""
    await submit(store, "a1", key="k")
    change = SubmitJobs(jobs=(new("a2", key="k", delay_s=50.0),), by=ALICE, at=1.0, on_conflict="queue")
    await store.apply(change)
    await store.apply(ending(await start(store, "a1")))
    job = await store.get("a2")
    assert (job.state, job.key_slot, job.blocked) == ("scheduled", 0, None)
    await store.apply(MakeDue(at=60.0))
    assert (await store.get("a2")).blocked is None


async def test_a_delayed_job_waits_for_its_parents_as_well(store: Store) -> None:
    """Whichever is later."""
    await submit(store, "a1", "a2")
    await submit(store, "b1", after=["a1"], delay_s=5.0)
    await submit(store, "b2", after=["a2"], delay_s=50.0)
    await store.apply(MakeDue(at=10.0))
    assert (await store.get("b1")).blocked == "after"
    for id in ("a1", "a2"):
        await store.apply(ending(await start(store, id)))
    assert [(await store.get(id)).state for id in ("b1", "b2")] == ["queued", "scheduled"]
    assert (await store.get("b1")).blocked is None
    await store.apply(MakeDue(at=60.0))
    assert (await store.get("b2")).blocked is None


async def test_a_delayed_job_fails_with_its_parent_at_once(store: Store) -> None:
    """There is nothing to wait for any more."""
    await submit(store, "a1")
    await submit(store, "b1", after=["a1"], delay_s=50.0)
    await store.apply(failing(await start(store, "a1")))
    job = await store.get("b1")
    assert (job.state, job.due_at) == ("failed", None)
    assert await store.next_due() is None


async def test_a_cancelled_delayed_job_is_resumed_at_once(store: Store) -> None:
    """Whoever resumes it wants it now."""
    await submit(store, "a1", delay_s=50.0)
    await cancel(store, "a1")
    assert await store.next_due() is None
    job = await store.apply(ResumeJob(job="a1", by=ALICE, at=9.0))
    assert (job.state, job.due_at) == ("queued", None)
