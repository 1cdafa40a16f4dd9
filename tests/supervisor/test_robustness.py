"""What happens to one job never harms another, and nothing is forgotten."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from fakes.runner import FakeClock
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.ending import NeverSent
from jobkeepd.core.model import Job
from jobkeepd.errors import StorageFull
from jobkeepd.store.changes import ClaimRun, RequestStop
from jobkeepd.supervisor.attempt import Attempt
from jobkeepd.supervisor.places import Place
from jobkeepd.supervisor.window import SIZE, Window

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio


async def test_a_job_that_is_cancelled_and_resumed_while_its_seat_is_made_runs_once(stage: Stage) -> None:
    """It is ours from being picked on: it is not picked a second time."""
    stage.runner.start_delay = 3.0
    (job,) = await stage.submit()
    await anyio.sleep(1)
    await stage.supervisor.cancel(job, ME, force=False, reason=None)
    await stage.supervisor.resume(job, ME, failed_items=False, reason=None)
    ended = await stage.until(job, "succeeded")
    assert (stage.runner.started, ended.run.number if ended.run else 0) == ([job], 1)


async def test_a_full_disk_delays_a_start_and_ends_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim is tried again until there is room."""
    honest, refused = stage.store.apply, 0

    async def full(change: Any) -> Any:
        nonlocal refused
        if isinstance(change, ClaimRun) and refused < 3:
            refused += 1
            raise StorageFull("no space left")
        return await honest(change)

    monkeypatch.setattr(stage.store, "apply", full)
    (job,) = await stage.submit()
    await stage.until(job, "succeeded")
    assert refused == 3


async def test_a_bug_that_meets_one_job_leaves_the_others_alone(stage: Stage) -> None:
    """Its task ends with a line in the log; the queue goes on."""
    stage.runner.end = lambda *args: 1 / 0  # type: ignore[assignment, method-assign]
    (broken,) = await stage.submit()
    await stage.until(broken, "running")
    await anyio.sleep(5)
    del stage.runner.end
    others = await stage.submit(5)
    ended = await stage.supervisor.wait(others, any=False, timeout=100)
    assert {job.state for job in ended} == {"succeeded"}


async def test_a_start_that_never_arrives_is_sent_again_more_and_more_slowly(stage: Stage) -> None:
    """No storm of attempts: in a minute a dozen, not thousands."""
    stage.runner.end = lambda *args: NeverSent(FakeClock().now())  # type: ignore[method-assign]
    stage.runner.duration = 0.0
    (job,) = await stage.submit()
    await anyio.sleep(60)
    assert 5 < stage.runner.started.count(job) < 20


async def test_an_adopted_job_that_was_being_cancelled_is_cancelled(stage: Stage) -> None:
    """What the last daemon had promised, the next one does."""
    stage.runner.duration = 1e6
    (id,) = await stage.submit()
    job = await stage.until(id, "running")
    await stage.supervisor.stop()
    await anyio.sleep(1)
    cancelling = await _recorded_stop(stage, job)
    stage.supervisor.dispatcher.draining = False
    stage.supervisor.dispatcher.tasks.clear()
    stage.supervisor.dispatcher._owned.clear()
    stage.runner.live.clear()
    stage.supervisor.dispatcher.adopt(cancelling, Place(stage.runner.seats[0], anyio.current_time()), behind=False)
    stage.supervisor.start()
    assert (await stage.until(id, *ENDED_STATES)).state == "cancelled"


async def _recorded_stop(stage: Stage, job: Job) -> Job:
    """A cancellation that is on record, while nobody carries it out."""
    return await stage.store.apply(RequestStop(job=job.id, stop="cancelled", by=ME, at=1.0))


async def test_a_wait_of_no_time_sees_what_has_ended(stage: Stage) -> None:
    """The deadline is for waiting, not for looking."""
    (job,) = await stage.submit()
    await stage.until(job, "succeeded")
    assert len(await stage.supervisor.wait([job], any=False, timeout=0)) == 1


async def test_a_stop_after_the_end_does_nothing(stage: Stage) -> None:
    """The seat belongs to another run by then."""
    stage.runner.duration = 1.0
    (job,) = await stage.submit()
    await stage.until(job, "running")
    attempt = stage.supervisor.dispatcher.tasks[job].attempt
    assert isinstance(attempt, Attempt)
    await stage.until(job, "succeeded")
    await attempt.stop("cancelled", force=True)
    assert stage.runner.seats[0].heard == []


async def test_a_window_stays_small_however_many_urgent_jobs_come(stage: Stage) -> None:
    """What does not fit waits on disk."""
    window = Window("single")
    await stage.submit(1, queue="single", priority=0)
    await window.fill(stage.store, ())
    for id in await stage.submit(5 * SIZE, queue="single", priority=10):
        window.offer(await stage.store.get(id))
    assert len(window.peek(10**6)) <= 4 * SIZE
