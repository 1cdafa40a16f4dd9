"""Jobs run in order, within their queue's limit, each on one seat at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Raw, json

from fakes.runner import FakeClock
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.protocol.worker import CheckpointParameters, FinishParameters
from jobkeepd.core.ending import Finished, Gone, NeverSent, RunEnd, WorkerDied
from jobkeepd.core.model import Exit
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import Launch
from jobkeepd.supervisor.job_task import JobTask

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio


async def test_a_submitted_job_runs_and_succeeds(stage: Stage) -> None:
    """From submit to the durable end, told in the journal."""
    (job,) = await stage.submit()
    ended = (await stage.supervisor.wait([job], any=False, timeout=60))[0]
    assert (ended.state, ended.run.number if ended.run else 0) == ("succeeded", 1)
    assert await stage.kinds(job) == ["submitted", "started", "ended", "succeeded"]
    assert stage.runner.settled == [f"{job}.1"]


async def test_a_queue_never_runs_more_than_its_limit(stage: Stage) -> None:
    """Fifty jobs, two at a time, every one of them once."""
    jobs = await stage.submit(50)
    await stage.supervisor.wait(jobs, any=False, timeout=1000)
    assert stage.runner.peak == 2
    assert sorted(stage.runner.started) == sorted(jobs)


async def test_a_backlog_larger_than_the_window_runs_once_each(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read on from the store while claims are on their way is not started a second time."""
    honest = stage.store.apply

    async def slow(change: Any) -> Any:
        await anyio.sleep(0.005)
        return await honest(change)

    monkeypatch.setattr(stage.store, "apply", slow)
    stage.runner.duration = 0.0001
    jobs = [job for _ in range(6) for job in await stage.submit(500)]
    await stage.supervisor.wait(jobs, any=False, timeout=1000)
    assert sorted(stage.runner.started) == sorted(jobs)
    assert {job.run.number if job.run else 0 for job in [await stage.store.get(job) for job in jobs]} == {1}


async def test_jobs_of_one_queue_start_in_order_of_priority_then_age(stage: Stage) -> None:
    """The urgent one overtakes what has no seat yet; equals go by age."""
    (running,) = await stage.submit(queue="single")
    await stage.until(running, "running")
    waiting = await stage.submit(3, queue="single")
    await anyio.sleep(0.5)  # the first of them has its claim by now
    (urgent,) = await stage.submit(priority=5, queue="single")
    await stage.supervisor.wait([*waiting, urgent], any=False, timeout=100)
    assert stage.runner.started == [running, waiting[0], urgent, *waiting[1:]]


async def test_seats_are_reused_and_the_next_job_is_claimed_before_one_is_free(stage: Stage) -> None:
    """While two run, two more have their seats already, and are still shown as queued."""
    jobs = await stage.submit(6)
    await stage.until(jobs[0], "running")
    await anyio.sleep(0.5)
    ahead = [await stage.store.get(job) for job in jobs[2:4]]
    assert [job.state for job in ahead] == ["queued", "queued"]
    assert [job.run.state if job.run else None for job in ahead] == ["starting", "starting"]
    await stage.supervisor.wait(jobs, any=False, timeout=100)
    assert len(stage.runner.seats) == 2


async def test_nobody_is_kept_by_a_run_that_lasts_while_another_seat_gets_free(stage: Stage) -> None:
    """Whoever was claimed ahead of its end is queued again, in its place: the free seat is its own."""
    stage.runner.duration = 1000.0
    (lasting,) = await stage.submit()
    await stage.until(lasting, "running")
    stage.runner.duration = 3.0
    jobs = await stage.submit(5)
    await stage.until(jobs[0], "running")
    assert [bool((await stage.store.get(job)).run) for job in jobs] == [True, True, True, False, False]
    await stage.supervisor.wait(jobs, any=False, timeout=100)
    assert stage.runner.started == [lasting, *jobs]
    assert anyio.current_time() < 5 * 3.0 + 1.0


async def test_a_job_that_was_claimed_ahead_can_be_cancelled_and_never_runs(stage: Stage) -> None:
    """Its claim is revoked before the seat is free."""
    jobs = await stage.submit(4)
    await stage.until(jobs[0], "running")
    await anyio.sleep(0.5)
    cancelled = await stage.supervisor.cancel(jobs[2], ME, force=False, reason="not needed")
    assert cancelled.state == "cancelled"
    await stage.supervisor.wait(jobs, any=False, timeout=100)
    assert jobs[2] not in stage.runner.started
    assert len(stage.runner.started) == 3


async def test_a_job_whose_seat_breaks_before_its_turn_gets_another(stage: Stage) -> None:
    """The claim behind a broken seat is taken back, and the job runs elsewhere."""
    jobs = await stage.submit(3)
    await stage.until(jobs[0], "running")
    await anyio.sleep(0.5)
    for seat in stage.runner.seats:
        seat.usable = False
    await stage.supervisor.wait(jobs, any=False, timeout=100)
    assert (await stage.store.get(jobs[2])).state == "succeeded"
    assert stage.runner.started.count(jobs[2]) == 1


async def test_a_failed_job_is_retried_after_its_backoff_until_its_budget_is_spent(stage: Stage) -> None:
    """Three attempts, one and two seconds apart, in the journal and in virtual time."""
    stage.runner.end = lambda *args: Finished("failed", FakeClock().now())  # type: ignore[method-assign]
    began = anyio.current_time()
    (job,) = await stage.submit(retries=2, backoff_s=60.0)
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, ended.attempts, len(stage.runner.started)) == ("failed", 2, 3)
    assert anyio.current_time() - began >= 180


async def test_a_job_without_a_seat_fails_with_the_reason(stage: Stage) -> None:
    """A worker that cannot start is a failure of the job, told once."""
    stage.runner.refuse = StartFailed("worker", "worker of /p did not start: No module named jobkeep")
    (job,) = await stage.submit()
    ended = await stage.until(job, *ENDED_STATES)
    assert ended.state == "failed"
    assert "No module named jobkeep" in (ended.run.reason or "" if ended.run else "")


@pytest.mark.parametrize(("kills", "state"), [(4, "succeeded"), (5, "failed")])
async def test_a_worker_that_is_killed_while_it_starts_is_not_at_once_the_failure_of_its_job(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kills: int, state: str
) -> None:
    """Nothing of the job ran, and another worker may live; but not for ever."""
    honest = stage.runner.acquire
    killed = iter([StartFailed("killed", "worker of /p did not start: it was killed")] * kills)

    async def acquire(*wanted: Any) -> Any:
        if (failed := next(killed, None)) is not None:
            raise failed
        return await honest(*wanted)

    monkeypatch.setattr(stage.runner, "acquire", acquire)
    (job,) = await stage.submit()
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, ended.attempts) == (state, 0)
    assert (ended.run.number if ended.run else 0) == 1


async def test_what_a_dead_worker_could_not_say_is_found_in_the_spool(stage: Stage, tmp_path: Path) -> None:
    """It was cut off from us and has ended its run: that counts, and not that it was killed afterwards."""

    def die(launch: Launch, *_: object) -> RunEnd:
        run, fence = launch.job.ref.id, launch.job.ref.fence
        checkpoint = CheckpointParameters(run=run, fence=fence, seq=7, done=3)
        finish = FinishParameters(run=run, fence=fence, outcome="succeeded", result=Raw(b"[3]"))
        (tmp_path / f"{run}.checkpoint").write_bytes(json.encode(checkpoint))
        (tmp_path / f"{run}.finish").write_bytes(json.encode(finish))
        return WorkerDied(Exit(9, 1.0))

    stage.runner.end = die  # type: ignore[method-assign]
    (job,) = await stage.submit(command=None, function="m:f")
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, ended.checkpoint_seq, ended.progress.done) == ("succeeded", 7, 3)
    assert bytes(await stage.store.result(job) or b"") == b"[3]"
    assert os.listdir(tmp_path) == []


async def test_the_last_words_of_another_run_are_not_its_own(stage: Stage, tmp_path: Path) -> None:
    """The fence tells."""

    def die(launch: Launch, *_: object) -> RunEnd:
        run = launch.job.ref.id
        finish = FinishParameters(run=run, fence=launch.job.ref.fence + 1, outcome="succeeded")
        (tmp_path / f"{run}.finish").write_bytes(json.encode(finish))
        return WorkerDied(Exit(9, 1.0))

    stage.runner.end = die  # type: ignore[method-assign]
    (job,) = await stage.submit(command=None, function="m:f")
    assert (await stage.until(job, *ENDED_STATES)).state == "failed"


async def test_a_host_that_cannot_fork_is_asked_again_later(stage: Stage) -> None:
    """No slot now is no verdict on the job."""
    stage.runner.refuse = StartFailed("slot", "cannot fork")
    (job,) = await stage.submit()
    await anyio.sleep(5)
    assert (await stage.store.get(job)).state == "queued"
    stage.runner.refuse = None
    await stage.until(job, "succeeded")


async def test_a_start_that_never_arrived_is_sent_again_and_charged_to_nobody(stage: Stage) -> None:
    """Nothing ran: the job goes back to its queue."""
    ends = iter([NeverSent(1.0)])
    honest = stage.runner.end
    stage.runner.end = lambda *args: next(ends, None) or honest(*args)  # type: ignore[method-assign]
    (job,) = await stage.submit()
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, ended.attempts, ended.run.number if ended.run else 0) == ("succeeded", 0, 2)


async def test_a_lost_run_fails_and_is_called_lost(stage: Stage) -> None:
    """Nobody saw its end, and nobody pretends to."""
    stage.runner.end = lambda *args: Gone(1.0)  # type: ignore[method-assign]
    (job,) = await stage.submit()
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, ended.outcome) == ("failed", "lost")


async def test_a_job_whose_task_is_not_over_is_not_picked_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start did not arrive, and before it is sent again all that is queued is read anew: it has one task."""
    ends = iter([NeverSent(1.0)])
    stage.runner.end = lambda *args: next(ends, Finished("succeeded", 1.0))  # type: ignore[method-assign]
    claims: list[str] = []
    claim = JobTask._claim

    async def counted(self: JobTask) -> bool:
        claims.append(self.job.id)
        return await claim(self)

    monkeypatch.setattr(JobTask, "_claim", counted)
    (job,) = await stage.submit()
    await stage.until(job, "running")
    stage.runner.duration = 60.0
    await stage.until(job, "queued")
    dispatcher = stage.supervisor.dispatcher
    for _ in range(100):
        dispatcher.reread()
        await anyio.sleep(0.01)
    assert (await stage.store.get(job)).state == "running"
    assert claims == [job, job]
    assert job in dispatcher.tasks
