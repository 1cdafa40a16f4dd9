"""Verbs for pages of jobs: as for each alone, in one go; everybody else has a turn between two pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from jobkeep.protocol.jobs import Progress
from jobkeepd.core.bulk import Accepted, Answer, Cancel, Refused, Remove, Restart, Resume, Verb
from jobkeepd.core.model import Job, Run
from jobkeepd.errors import StorageFailed
from jobkeepd.store.base import JobFilter
from jobkeepd.store.removal_changes import Removed
from jobkeepd.supervisor.bulk import Bulk
from jobkeepd.supervisor.removal import HEAVY, MANY, parts

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio
FOREVER = 1e6


async def act(stage: Stage, verb: Verb, ids: Sequence[str], as_of: float | None = None) -> list[Answer]:
    jobs = [await stage.store.get(id) for id in ids]
    return await stage.supervisor.act(verb, jobs, ME, "enough", as_of)


def _waiting(before: int | None) -> JobFilter:
    return JobFilter(states=("queued", "running"), queue="default", before=before, limit=200)


async def test_running_and_waiting_jobs_are_cancelled_together(stage: Stage) -> None:
    """Runs are ended for sure; the answer does not wait for that. What has ended is refused, with the reason."""
    (over,) = await stage.submit()
    await stage.until(over, "succeeded")
    stage.runner.duration = FOREVER
    jobs = await stage.submit(5)
    await stage.until(jobs[0], "running")
    await stage.until(jobs[1], "running")
    answers = await act(stage, Cancel(), [*jobs, over])
    assert Counter(answer.state for answer in answers[:5] if isinstance(answer, Accepted)) == {
        "cancelling": 2,
        "cancelled": 3,
    }
    assert answers[5] == Refused(over, "the job has succeeded already")
    for job in jobs:
        await stage.until(job, "cancelled")
    said = [entry for entry in await stage.store.entries(0, 999) if entry.kind == "cancel_requested"]
    assert [(entry.by, entry.data["reason"]) for entry in said] == [(ME, "enough")] * 5


async def test_restarted_and_resumed_jobs_run_again_once(stage: Stage) -> None:
    """Asked for the same page again, it leaves alone what has begun or ended since."""
    stage.runner.duration = FOREVER
    jobs = await stage.submit(2)
    for job in jobs:
        await stage.until(job, "running")
    await anyio.sleep(5)
    as_of = stage.workshop.clock.now()
    await anyio.sleep(5)
    assert await act(stage, Restart(), jobs, as_of) == [Accepted(job, "running") for job in jobs]
    await anyio.sleep(30)
    again = await act(stage, Restart(), jobs, as_of)
    assert again == [Refused(job, "its run has begun since") for job in jobs]
    assert [job.ref.number for job in await stage.store.list(JobFilter())] == [2, 2]
    await act(stage, Cancel(force=True), jobs)
    for job in jobs:
        await stage.until(job, "cancelled")
    await anyio.sleep(5)
    assert await act(stage, Resume(), jobs, stage.workshop.clock.now()) == [Accepted(job, "queued") for job in jobs]
    await stage.until(jobs[0], "running")


async def test_a_key_that_is_live_again_refuses_its_own_job_alone(stage: Stage) -> None:
    """The others are resumed all the same."""
    stage.runner.duration = FOREVER
    (free,) = await stage.submit()
    (keyed,) = await stage.submit(key="k")
    await act(stage, Cancel(force=True), [free, keyed])
    for job in (free, keyed):
        await stage.until(job, "cancelled")
    await stage.submit(key="k")
    assert await act(stage, Resume(), [keyed, free]) == [
        Refused(keyed, "another live job has its key"),
        Accepted(free, "queued"),
    ]


async def test_who_has_ceased_to_match_is_not_spoken_of(stage: Stage) -> None:
    """Somebody else was faster, between the reading of the page and its commit."""
    stage.runner.duration = FOREVER
    jobs = [await stage.store.get(id) for id in await stage.submit(4)]
    await act(stage, Cancel(force=True), [jobs[3].id])
    await stage.until(jobs[3].id, "cancelled")
    assert [a.job for a in await stage.supervisor.act(Cancel(), jobs, ME, None, None)] == [job.id for job in jobs[:3]]
    for job in jobs:
        await stage.until(job.id, "cancelled")
    ended = [await stage.store.get(job.id) for job in jobs]
    await act(stage, Remove(), [jobs[0].id])
    assert [a.job for a in await stage.supervisor.act(Remove(), ended, ME, None, None)] == [j.id for j in jobs[1:]]
    assert await stage.supervisor.act(Resume(), ended, ME, None, None) == []


async def test_a_failing_store_is_told_of_once_all_have_been_tried(stage: Stage) -> None:
    """It is no job's fault: the caller gets the error, and what was done is done."""
    jobs = [await stage.store.get(id) for id in await stage.submit(3)]
    done = []

    async def stop(id: str, stop: str, by: Any, force: bool, reason: str | None) -> Job:
        if id == jobs[0].id:
            raise StorageFailed("no disk")
        done.append(id)
        return jobs[1]

    async def unused(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(StorageFailed):
        await Bulk(stop, unused, unused).act(Cancel(), jobs, ME, None, None)
    assert sorted(done) == [job.id for job in jobs[1:]]


async def test_between_two_pages_others_have_their_turn(stage: Stage) -> None:
    """A submit that comes during a page is durable before the next one begins: nobody waits for more than a page."""
    stage.runner.duration = FOREVER
    jobs = await stage.submit(700)
    order: list[str] = []

    async def sweep() -> None:
        before = None
        while page := await stage.store.list(_waiting(before)):
            answers = await stage.supervisor.act(Cancel(), page, ME, None, None)
            order.append(f"page of {len(answers)}")
            before = page[-1].seq
        order.append("over")

    async def submit() -> None:
        while order[-1:] != ["over"]:
            (job,) = await stage.submit(queue="single")
            order.append("submit")
            assert (await stage.store.get(job)).state in ("queued", "running")

    async with anyio.create_task_group() as group:
        group.start_soon(sweep)
        group.start_soon(submit)
    pages = [place for place, what in enumerate(order) if what.startswith("page")]
    assert [order[place] for place in pages] == ["page of 200", "page of 200", "page of 200", "page of 100"]
    assert all(later - earlier > 1 for earlier, later in zip(pages, pages[1:], strict=False)), order
    assert jobs


def heavy(id: str, items: int) -> Job:
    run = Run(number=1, fence=1, state="ended", seat="s", epoch=1, cookie="c", claimed_at=1.0, steps=1)
    return Job(
        seq=1, id=id, spec=None, environment=None, owner=1, state="failed", created_at=1.0, run=run,  # type: ignore[arg-type]
        progress=Progress(failed_items=items),
    )  # fmt: skip


def test_a_removal_is_cut_where_much_hangs_on_its_jobs() -> None:
    """By how many they are, and by what else has to be deleted with them; no job is cut."""
    assert [len(part) for part in parts([heavy("a", 0)] * (MANY * 2 + 1))] == [MANY, MANY, 1]
    jobs = [heavy("a", HEAVY // 2), heavy("b", HEAVY // 3), heavy("c", HEAVY * 9), heavy("d", 1), heavy("e", 1)]
    assert [[job.id for job in part] for part in parts(jobs)] == [["a", "b"], ["c"], ["d", "e"]]
    assert list(parts([])) == []


async def test_one_job_is_removed_or_says_why_not(stage: Stage) -> None:
    """By a prefix of its id, as by any verb."""
    (job,) = await stage.submit()
    await stage.until(job, "succeeded")
    assert await stage.supervisor.remove(job[:-1], ME, reason=None) == job
    assert await stage.supervisor.removal.remove([job], ME) == Removed()
