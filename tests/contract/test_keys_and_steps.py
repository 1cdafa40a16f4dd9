"""Keys that have a holder and one who waits; steps whose results are stored once."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from contract.deeds import ALICE, blocked, cancel, claim, claiming, ending, saving, start, submit, submitting
from jobkeepd.errors import IllegalTransition, KeyTaken
from jobkeepd.store.base import Store
from jobkeepd.store.changes import ResumeJob, SaveStep

pytestmark = pytest.mark.anyio


async def test_a_second_job_of_a_key_waits_and_follows_in_the_commit_that_ends_the_first(store: Store) -> None:
    """on_conflict=queue keeps one waiter, no more."""
    await submit(store, "a1", key="k")
    first = await start(store, "a1")
    queued = await store.apply(replace(submitting("a2", key="k"), on_conflict="queue"))
    assert queued.created
    assert await store.queued("default", 9) == []
    with pytest.raises(KeyTaken) as caught:
        await store.apply(replace(submitting("a3", key="k"), on_conflict="queue"))
    assert caught.value.job == "a2"
    assert await store.apply(claiming("a2")) is None
    await store.apply(ending(first))
    assert [job.id for job in await store.queued("default", 9)] == ["a2"]
    assert (await claim(store, "a2")).key_slot == 0


async def test_replace_queued_keeps_the_newest_request_and_lets_the_running_one_go_on(store: Store) -> None:
    """The waiter is cancelled and says by whom it was replaced."""
    await submit(store, "a1", key="k")
    await store.apply(replace(submitting("a2", key="k"), on_conflict="replace_queued"))
    assert (await store.get("a1")).state == "cancelled"
    await start(store, "a2")
    for id in ("a3", "a4"):
        await store.apply(replace(submitting(id, key="k"), on_conflict="replace_queued"))
    replaced = await store.get("a3")
    assert (replaced.state, replaced.reason) == ("cancelled", "cancelled by user 1000: replaced by job a4")
    assert (await store.get("a2")).state == "running"
    assert await blocked(store) == ["a4"]


async def test_cancel_running_ends_the_run_and_waits_for_that(store: Store) -> None:
    """The answer names the job whose run is still to be ended; the newcomer follows once it has."""
    await submit(store, "a1", key="k")
    first = await start(store, "a1")
    answer = await store.apply(replace(submitting("a2", key="k"), on_conflict="cancel_running"))
    assert answer.stopping == ("a1",)
    assert (await store.get("a1")).state == "cancelling"
    assert await store.apply(claiming("a2")) is None
    await store.apply(ending(first, outcome="cancelled", state="cancelled"))
    assert (await claim(store, "a2")).key_slot == 0


async def test_a_waiter_that_is_cancelled_can_be_resumed_only_when_the_key_is_free(store: Store) -> None:
    """And then it holds it."""
    await submit(store, "a1", key="k")
    first = await start(store, "a1")
    await store.apply(replace(submitting("a2", key="k"), on_conflict="queue"))
    await cancel(store, "a2")
    with pytest.raises(KeyTaken):
        await store.apply(ResumeJob(job="a2", by=ALICE, at=9.0))
    await store.apply(ending(first))
    resumed = await store.apply(ResumeJob(job="a2", by=ALICE, at=9.0))
    assert (resumed.key_slot, resumed.blocked) == (0, None)


async def test_steps_are_stored_once_and_in_order(store: Store) -> None:
    """A repeated one changes nothing, one too far is refused, and a restart from the start forgets them."""
    await submit(store, "a1")
    job = await start(store, "a1")

    def step(ordinal: int, name: str, result: bytes) -> SaveStep:
        return SaveStep(run=job.ref, ordinal=ordinal, name=name, result=Raw(result), at=5.0)

    await store.apply(step(0, "fetch", b"1"))
    await store.apply(step(0, "fetch", b"2"))
    with pytest.raises(IllegalTransition):
        await store.apply(step(2, "late", b"3"))
    await store.apply(step(1, "parse", b"[4]"))
    assert await store.steps("a1") == ["fetch", "parse"]
    assert await store.step_result("a1", 0) == Raw(b"1")
    assert await store.step_result("a1", 2) is None
    await store.apply(ending(job, outcome="interrupted", state="queued", from_start=True))
    assert await store.steps("a1") == []
    assert (await store.get("a1")).saved == 0
    assert (await claim(store, "a1")).saved == 0


async def test_what_is_saved_is_known_to_later_runs_and_how_often_one_was_run_again_for_nothing(store: Store) -> None:
    """Until somebody resumes it by hand, and begins to count anew."""
    await submit(store, "a1", command=None, function="m:f")
    job = await start(store, "a1")
    assert (job.saved, job.has_advanced) == (0, False)
    await store.apply(SaveStep(run=job.ref, ordinal=0, name="fetch", result=Raw(b"1"), at=5.0))
    await store.apply(saving(job, 1))
    moved = await store.get("a1")
    assert (moved.saved, moved.has_advanced) == (2, True)
    await store.apply(ending(job, outcome="lost", state="queued", futile=2))
    second = await start(store, "a1")
    assert second.run is not None
    assert (second.saved, second.has_advanced, second.run.futile) == (2, False, 2)
    await store.apply(ending(second, outcome="lost", state="failed"))
    await store.apply(ResumeJob(job="a1", by=ALICE, at=9.0))
    third = await claim(store, "a1")
    assert third.run is not None
    assert (third.saved, third.run.futile) == (2, 0)
