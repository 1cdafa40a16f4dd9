"""What happens to one job never harms another, and nothing is forgotten."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from fakes.runner import FakeClock
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.ending import NeverSent
from jobkeepd.core.model import Job
from jobkeepd.core.weight import HEAVIEST, weight
from jobkeepd.errors import StorageFull
from jobkeepd.store.changes import ClaimRun, RequestStop, RevokeClaim
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


async def test_a_claim_that_cannot_be_revoked_for_want_of_room_does_not_hold_up_a_stop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it was sent: the next daemon sees that for itself."""
    honest = stage.store.apply

    async def full(change: Any) -> Any:
        if isinstance(change, RevokeClaim):
            await anyio.sleep_forever()
        return await honest(change)

    monkeypatch.setattr(stage.store, "apply", full)
    stage.runner.duration = 1e6
    running, ahead = (await stage.submit(queue="single") + await stage.submit(queue="single"))[:2]
    await stage.until(running, "running")
    while (await stage.store.get(ahead)).run is None:
        await anyio.sleep(0.1)
    with anyio.fail_after(60):
        await stage.supervisor.stop()
    assert stage.runner.started == [running]


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


async def test_a_job_whose_run_nobody_follows_yet_is_not_claimed_again_and_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is queued until its start is known of, and whoever picks it is refused: that must not become a busy loop."""
    refused: list[object] = []
    honest, acquire = stage.store.apply, stage.runner.acquire

    async def counted(change: Any) -> Any:
        answer = await honest(change)
        refused.extend([change] if isinstance(change, ClaimRun) and answer is None else [])
        if len(refused) > 10:
            await anyio.sleep(3600)  # or time would stand still for ever
        return answer

    async def overtaken(*args: Any) -> Any:
        if not refused:
            moment = stage.workshop.moment()
            claim = ClaimRun(job=id, seat="another", epoch=1, cookie="c", at=1.0, now=moment, ttl_s=60.0)
            assert await honest(claim) is not None
        return await acquire(*args)

    monkeypatch.setattr(stage.store, "apply", counted)
    monkeypatch.setattr(stage.runner, "acquire", overtaken)
    (id,) = await stage.submit()
    await anyio.sleep(60)
    assert len(refused) == 1
    assert stage.runner.started == []


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


async def test_a_window_stays_light_however_large_jobs_are_and_forgets_none(stage: Stage) -> None:
    """It is filled up again before it is empty, until all of them have been in it once."""
    window, seen = Window("single"), list[str]()
    heavy = HEAVIEST // 8
    jobs = await stage.submit(100, queue="single", command=["x" * heavy])
    await window.fill(stage.store, ())
    while waiting := window.peek(10**6):
        assert sum(weight(job.spec) for job in waiting) <= 4 * HEAVIEST
        seen.append(waiting[0].id)
        window.remove(waiting[:1])
        if window.low:
            await window.fill(stage.store, seen)
    assert seen == jobs
    await stage.submit(1, queue="single")
    for id in await stage.submit(100, queue="single", priority=10, command=["x" * heavy]):
        window.offer(await stage.store.get(id))
        assert sum(weight(job.spec) for job in window.peek(10**6)) <= 4 * HEAVIEST
