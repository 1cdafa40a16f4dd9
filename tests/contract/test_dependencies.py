"""Jobs that wait for the end of others, in every store."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from contract.deeds import ALICE, Heard, cancel, claiming, ending, failing, new, start, submit
from jobkeepd.core.model import Job
from jobkeepd.errors import AmbiguousJob, UnknownJob
from jobkeepd.store.base import Store
from jobkeepd.store.changes import Change, ResumeJob, SubmitJobs
from jobkeepd.store.removal_changes import RemoveJobs

pytestmark = pytest.mark.anyio

# A chain as long as this: by recursion it could not be settled; and more than are settled in one commit.
LONG = 1100


async def succeed(store: Store, id: str) -> None:
    await store.apply(ending(await start(store, id)))


async def fail(store: Store, id: str) -> None:
    await store.apply(failing(await start(store, id)))


async def told(store: Store, id: str) -> tuple[str, str | None, str | None]:
    job = await store.get(id)
    return job.state, job.blocked, job.reason


async def test_a_child_starts_when_all_its_parents_have_succeeded(store: Store, heard: Heard) -> None:
    """Named by their ids or prefixes of them, once or twice; the last end lets it go, in its own commit."""
    await submit(store, "p1xx", "p2")
    await submit(store, "c1", after=["p1", "p2", "p1xx"])
    assert (await store.get("c1")).spec.after == ["p1xx", "p2"]
    assert await told(store, "c1") == ("queued", "after", None)
    assert await store.apply(claiming("c1")) is None
    assert [job.id for job in (await store.open_parents("c1", 5))[1]] == ["p1xx", "p2"]
    await succeed(store, "p1xx")
    assert (await store.open_parents("c1", 5))[0] == 1
    assert await told(store, "c1") == ("queued", "after", None)
    await succeed(store, "p2")
    assert await told(store, "c1") == ("queued", None, None)
    assert heard.kinds("c1") == ["submitted", "unblocked"]
    assert [job.id for job in await store.queued("default", 9)] == ["c1"]


@pytest.mark.parametrize(("end", "how"), [(fail, "has failed"), (cancel, "was cancelled")])
async def test_a_child_fails_with_its_parent(store: Store, heard: Heard, end: Any, how: str) -> None:
    """In the same commit, with that reason; and so do its own children. Others go on."""
    await submit(store, "p1", "p2")
    await submit(store, "c1", after=["p1", "p2"])
    await submit(store, "d1", after=["c1"])
    await submit(store, "e1", after=["d1"], after_any_end=True)
    await end(store, "p1")
    assert await told(store, "c1") == ("failed", None, f"job p1, after which it was to run, {how}")
    assert await told(store, "d1") == ("failed", None, "job c1, after which it was to run, has failed")
    assert await told(store, "e1") == ("queued", None, None)
    assert await told(store, "p2") == ("queued", None, None)
    assert heard.entries[-3].data == {"reason": f"job p1, after which it was to run, {how}", "after": "p1"}
    job = await store.get("c1")
    assert (job.outcome, job.ended_at, job.run) == ("failed", job.ended_at, None)
    await succeed(store, "p2")
    assert (await store.get("c1")).state == "failed"


@pytest.mark.parametrize("end", [succeed, fail, cancel])
async def test_any_end_will_do_if_it_says_so(store: Store, end: Any) -> None:
    """It starts in any case."""
    await submit(store, "p1")
    await submit(store, "c1", after=["p1"], after_any_end=True)
    await end(store, "p1")
    assert await told(store, "c1") == ("queued", None, None)


async def test_what_has_ended_before_is_decided_at_once(store: Store, heard: Heard) -> None:
    """As if it had ended a moment later."""
    await submit(store, "good", "bad")
    await succeed(store, "good")
    await fail(store, "bad")
    assert (await submit(store, "c1", after=["good"])).state == "queued"
    assert (await submit(store, "c2", after=["good", "bad"])).state == "failed"
    assert (await submit(store, "c3", after=["bad"], after_any_end=True)).state == "queued"
    assert [await told(store, id) for id in ("c1", "c3")] == [("queued", None, None)] * 2
    assert await told(store, "c2") == ("failed", None, "job bad, after which it was to run, has failed")
    assert heard.kinds("c2") == ["submitted", "failed"]
    assert (await store.counts())["default", "failed"] == 2


async def test_a_parent_that_there_is_not_is_an_error_that_leaves_no_trace(store: Store) -> None:
    """So does one that could be several; whom the job was to replace stays as well."""
    await submit(store, "p1xx", "p1yy")
    await submit(store, "old", key="k")
    for ref, error in (("nobody", UnknownJob), ("p1", AmbiguousJob)):
        change = SubmitJobs(
            jobs=(new("c1", after=[ref], key="k"),), by=ALICE, at=1.0, on_conflict="replace_queued"
        )
        with pytest.raises(error) as refused:
            await store.apply(change)
        assert str(getattr(refused.value, "ref", "")) == ref
    assert await store.counts() == {("default", "queued"): 3}


async def test_fan_in_waits_for_all_live_jobs_with_the_labels(store: Store) -> None:
    """Those that have ended, come later or lack one of the labels do not count; with nobody there it may start."""
    await submit(store, "ended", labels={"batch": "7", "kind": "x"})
    await succeed(store, "ended")
    await submit(store, "m1", "m2", labels={"batch": "7", "kind": "x"})
    await submit(store, "other", labels={"batch": "7"})
    await submit(store, "reduce", after_label={"batch": "7", "kind": "x"}, labels={"batch": "7", "kind": "x"})
    await submit(store, "late", labels={"batch": "7", "kind": "x"})
    assert [job.id for job in (await store.open_parents("reduce", 5))[1]] == ["m1", "m2"]
    await succeed(store, "m1")
    await succeed(store, "m2")
    assert await told(store, "reduce") == ("queued", None, None)
    await submit(store, "alone", after_label={"batch": "8"})
    assert await told(store, "alone") == ("queued", None, None)


async def test_who_is_cancelled_while_it_waits_stays_so(store: Store) -> None:
    """Its parent's end does not wake it; its own children fail."""
    await submit(store, "p1")
    await submit(store, "c1", after=["p1"])
    await submit(store, "d1", after=["c1"])
    await cancel(store, "c1")
    assert await told(store, "d1") == ("failed", None, "job c1, after which it was to run, was cancelled")
    await succeed(store, "p1")
    assert (await store.get("c1")).state == "cancelled"


async def test_resume_waits_for_parents_that_live_and_asks_no_others(store: Store) -> None:
    """What was decided stays when a parent is resumed; a child that is resumed waits for it."""
    await submit(store, "p1", "p2")
    await submit(store, "c1", after=["p1", "p2"])
    await fail(store, "p1")
    await store.apply(ResumeJob(job="p1", by=ALICE, at=9.0))
    assert (await store.get("c1")).state == "failed"
    await store.apply(ResumeJob(job="c1", by=ALICE, at=9.0))
    assert await told(store, "c1") == ("queued", "after", None)
    await succeed(store, "p2")
    await fail(store, "p1")
    assert (await store.get("c1")).state == "failed"
    await store.apply(ResumeJob(job="c1", by=ALICE, at=9.0))
    assert await told(store, "c1") == ("queued", None, None)


async def test_a_key_is_waited_for_before_parents_are(store: Store) -> None:
    """Whoever gets its key still waits for whom it has to; one that fails by them passes its key on."""
    await submit(store, "p1")
    await submit(store, "holder", key="k")

    async def queue(id: str, **spec: Any) -> None:
        await store.apply(SubmitJobs(jobs=(new(id, key="k", **spec),), by=ALICE, at=1.0, on_conflict="queue"))

    await queue("c1", after=["p1"])
    await succeed(store, "holder")
    assert await told(store, "c1") == ("queued", "after", None)
    await queue("c2")
    assert await told(store, "c2") == ("queued", "key", None)
    await fail(store, "p1")
    assert (await store.get("c1")).state == "failed"
    assert await told(store, "c2") == ("queued", None, None)
    await queue("c3", after=["p1"])
    assert (await store.get("c3")).state == "failed"


async def chain(store: Store, length: int) -> None:
    """c0, and each that follows after the one before."""
    await store.apply(SubmitJobs(jobs=(new("c0"),), by=ALICE, at=1.0))
    changes = [SubmitJobs(jobs=(new(f"c{n}", after=[f"c{n - 1}"]),), by=ALICE, at=1.0) for n in range(1, length)]
    for change in changes:
        await store.apply(change)


async def all_have_failed(store: Store, count: int) -> None:
    with anyio.fail_after(60):
        while (await store.counts()).get(("default", "failed")) != count:
            await anyio.sleep(0.001)


async def test_a_long_chain_fails_as_a_whole(store: Store) -> None:
    """As deep as it is, by itself, each for the one before it."""
    await chain(store, LONG)
    await store.apply(failing(await start(store, "c0")))
    await all_have_failed(store, LONG)
    last: Job = await store.get(f"c{LONG - 1}")
    assert last.reason == f"job c{LONG - 2}, after which it was to run, has failed"
    assert last.ended_at == 9.0


async def test_all_of_many_children_are_told(store: Store) -> None:
    """However many there are of one parent; whom it does not disappoint may go on."""
    await submit(store, "p1")
    await submit(store, *(f"c{number}" for number in range(LONG)), after=["p1"])
    await submit(store, "late", after=["p1"], after_any_end=True)
    await fail(store, "p1")
    await all_have_failed(store, LONG + 1)
    with anyio.fail_after(60):
        while (await store.get("late")).blocked is not None:
            await anyio.sleep(0.001)


@pytest.mark.parametrize("wish", [ResumeJob(job="p1", by=ALICE, at=9.0), RemoveJobs(jobs=("p1",), by=ALICE, at=9.0)])
async def test_who_is_resumed_or_removed_has_told_all_of_its_end(store: Store, wish: Change) -> None:
    """What was decided stays, also where there are too many to be told at once."""
    await submit(store, "p1")
    await submit(store, *(f"c{number}" for number in range(LONG)), after=["p1"])
    running = await start(store, "p1")
    async with anyio.create_task_group() as group:
        group.start_soon(store.apply, failing(running))
        await anyio.lowlevel.checkpoint()
        group.start_soon(store.apply, wish)
    counts = await store.counts()
    assert counts["default", "failed"] == LONG
    assert (await store.get(f"c{LONG - 1}")).reason == "job p1, after which it was to run, has failed"
