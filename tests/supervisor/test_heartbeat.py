"""Runs that are stalled or silent, and what the daemon does about them, in virtual time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import structlog
from msgspec.structs import replace

from fakes.runner import FakeSeat
from jobkeep.protocol.jobs import Progress
from jobkeepd.core.ending import Exited, RunEnd, WorkerDied
from jobkeepd.core.liveness import Look
from jobkeepd.core.model import Exit, Job
from jobkeepd.runner.base import Launch

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio
FOREVER = 1e6
FUNCTION = {"command": None, "function": "m:f"}


async def running(stage: Stage, **spec: Any) -> tuple[str, FakeSeat]:
    """A job that runs until it is stopped, and its seat."""
    stage.runner.duration = FOREVER
    (job,) = await stage.submit(**spec)
    await stage.until(job, "running")
    return job, stage.runner.seats[-1]


async def until_ended(stage: Stage, job: str) -> Job:
    (ended,) = await stage.supervisor.wait([job], any=False, timeout=None)
    return ended


async def beat(seat: FakeSeat, seconds: float, *, turning: bool = True) -> None:
    """For so long, every five seconds."""
    assert seat.signs is not None
    for turn in range(int(seconds / 5)):
        seat.signs.beat(turn if turning else 0, anyio.current_time())
        await anyio.sleep(5)


def health(stage: Stage, job: str) -> tuple[str, str | None]:
    live = stage.supervisor.dispatcher.tasks[job].live()
    assert live is not None
    return live.health, live.reason


async def test_a_stall_is_told_once_and_again_when_it_stalls_again(stage: Stage) -> None:
    """With `alert`, nothing else happens."""
    job, seat = await running(stage, **FUNCTION, stall_after_s=600.0)
    await beat(seat, 1200)
    assert health(stage, job) == ("stalled", "no progress for 20 min")
    assert (await stage.kinds(job)).count("stalled") == 1
    assert seat.signs is not None
    seat.signs.tell(Progress(1), anyio.current_time())
    await beat(seat, 300)
    assert health(stage, job)[0] == "ok"
    await beat(seat, 600)
    assert health(stage, job)[0] == "stalled"
    assert (await stage.kinds(job)).count("stalled") == 2
    assert seat.heard == []
    (first, _) = [entry for entry in await stage.store.history(job) if entry.kind == "stalled"]
    assert first.data == {"reason": "no progress for 10 min", "on_stall": "alert"}


async def test_on_stall_cancel_ends_the_job(stage: Stage) -> None:
    """By the daemon's own wish, with the reason."""
    job, seat = await running(stage, stall_after_s=600.0, on_stall="cancel")
    ended = await until_ended(stage, job)
    assert 600 <= anyio.current_time() < 603
    assert seat.heard == ["ask"]
    asked = next(entry for entry in await stage.store.history(job) if entry.kind == "cancel_requested")
    assert (asked.by, asked.data["reason"]) == (None, "stalled: no progress for 10 min")
    assert ended.attempts == 0


async def test_on_stall_restart_goes_on_but_not_for_ever(stage: Stage) -> None:
    """A job that stalls three times in a row is poison; its old run has always ended before the new one."""
    job, _ = await running(stage, stall_after_s=600.0, on_stall="restart")
    ended = await until_ended(stage, job)
    assert ended.run is not None
    assert (ended.state, ended.run.number, ended.attempts) == ("failed", 3, 3)
    assert ended.reason == "poison: restarted, since it had stalled"
    assert stage.runner.peak == 1


async def test_a_restart_for_a_stall_is_charged_and_a_success_after_it_is_one(stage: Stage) -> None:
    """The next run moves."""
    job, _ = await running(stage, stall_after_s=600.0, on_stall="restart")
    stage.runner.duration = 10.0
    ended = await until_ended(stage, job)
    assert ended.run is not None
    assert (ended.state, ended.run.number, ended.attempts) == ("succeeded", 2, 1)


async def test_output_keeps_a_command_from_being_stalled(stage: Stage) -> None:
    """It is the progress of a command."""
    job, seat = await running(stage, stall_after_s=60.0)
    for size in range(1, 10):
        seat.seen = Look("running", size)
        await anyio.sleep(50)
        assert health(stage, job)[0] == "ok"
    await anyio.sleep(20)
    assert health(stage, job)[0] == "stalled"


async def test_without_a_limit_nothing_is_ever_stalled(stage: Stage) -> None:
    """That is the default; 0 says so where the configuration says otherwise."""
    job, _ = await running(stage)
    await anyio.sleep(1500)
    assert health(stage, job)[0] == "ok"
    settings = replace(stage.workshop.settings, stall_after=60.0)
    workshop = replace(stage.workshop, settings=settings)
    found = await stage.store.get(job)
    assert workshop.limits(found.spec).stall_after == 60.0
    assert workshop.limits(replace(found.spec, stall_after_s=0.0)).stall_after is None


async def test_a_blocked_loop_is_late_and_never_fenced(stage: Stage) -> None:
    """However long; it beats, and when it returns its reports count."""
    job, seat = await running(stage, **FUNCTION)
    await beat(seat, 20)
    await beat(seat, 1200, turning=False)
    kind, reason = health(stage, job)
    assert kind == "late"
    assert str(reason).startswith("its event loop has been blocked for")
    assert not seat.fenced


async def test_a_silent_process_that_runs_is_late_and_never_fenced(stage: Stage) -> None:
    """Code in C may hold the interpreter for hours."""
    job, seat = await running(stage, **FUNCTION)
    await anyio.sleep(1500)
    assert health(stage, job)[0] == "late"
    assert not seat.fenced
    assert "fenced" not in await stage.kinds(job)


def dies_of_its_fence(stage: Stage) -> None:
    """The first run of a job."""

    def end(launch: Launch, exit: Exit, terminated: bool) -> RunEnd:
        first = launch.job.ref.number == 1
        return WorkerDied(Exit(3 << 8, exit.ended_at)) if first else Exited(exit, terminated)

    stage.runner.end = end  # type: ignore[method-assign]


@pytest.mark.parametrize("on_lost", ["fail", "resume"])
async def test_a_stopped_worker_is_fenced_and_its_lock_kept_until_it_is_gone(stage: Stage, on_lost: str) -> None:
    """Then its run is lost, by the job's policy; there is never a second one beside it."""
    dies_of_its_fence(stage)
    job, seat = await running(stage, **FUNCTION, lock="crm", on_lost=on_lost)
    (before,) = await stage.store.locks()
    await beat(seat, 20)
    seat.seen = Look("stopped")
    await anyio.sleep(50)
    assert not seat.fenced
    await anyio.sleep(8)
    assert seat.fenced
    fenced = await stage.store.get(job)
    (lock,) = await stage.store.locks()
    assert fenced.run is not None
    assert (fenced.state, fenced.run.state, fenced.fence, lock.token) == ("running", "running", 2, before.token + 1)
    assert fenced.run.fenced == "no heartbeat for 1 min: its process is stopped, by a signal or a debugger"
    await anyio.sleep(1000)
    assert (await stage.kinds(job)).count("fenced") == 1
    assert stage.runner.live[job] == 1
    assert await stage.store.locks() != []

    stage.runner.duration = 10.0
    seat.finish()
    if on_lost == "fail":
        ended = await stage.until(job, "failed")
        assert (ended.outcome, ended.reason) == ("lost", f"lost: {fenced.run.fenced}")
    else:
        ended = await until_ended(stage, job)
        assert ended.run is not None
        assert (ended.state, ended.attempts, ended.run.number, ended.run.fenced) == ("succeeded", 1, 2, None)
    assert stage.runner.peak == 1


async def test_the_reason_of_a_fence_is_told_where_a_lease_is_shorter_than_patience(stage: Stage) -> None:
    """The run is not late yet by then."""
    settings = replace(stage.workshop.locks, ttl=10.0)
    stage.supervisor.heartbeats._workshop = replace(stage.workshop, locks=settings)
    job, seat = await running(stage, **FUNCTION)
    await beat(seat, 20)
    seat.seen = Look("stopped")
    await anyio.sleep(18)
    run = (await stage.store.get(job)).run
    assert run is not None
    assert run.fenced == "no heartbeat for 10 s: its process is stopped, by a signal or a debugger"


async def test_a_fenced_job_that_is_cancelled_is_cancelled(stage: Stage) -> None:
    """What people want weighs more than what is lost."""
    dies_of_its_fence(stage)
    job, seat = await running(stage, **FUNCTION)
    seat.seen = Look("frozen")
    await anyio.sleep(100)
    assert seat.fenced
    await stage.supervisor.cancel(job, ME, force=True, reason=None)
    assert (await stage.until(job, "cancelled")).outcome == "cancelled"


async def test_a_run_that_ends_while_it_is_being_fenced_is_recorded_all_the_same(stage: Stage) -> None:
    """Its task knows the old fence only; the store has the new one already."""
    dies_of_its_fence(stage)
    job, seat = await running(stage, **FUNCTION)
    task = stage.supervisor.dispatcher.tasks[job]
    task.was_fenced = lambda fenced: None  # type: ignore[method-assign]  # the news comes too late
    seat.seen = Look("stopped")
    await anyio.sleep(62)
    seat.finish()
    assert (await stage.until(job, "failed")).outcome == "lost"


async def test_the_log_says_what_runs_and_how_far_it_is(stage: Stage) -> None:
    """A line for each, every fifteen seconds; one for all where they are many."""
    with structlog.testing.capture_logs() as logs:
        job, seat = await running(stage, **FUNCTION, name="import")
        assert seat.signs is not None
        seat.signs.tell(Progress(228, 313), anyio.current_time())
        await beat(seat, 900)
        lines = [line for line in logs if line["event"] == "still_running"]
        assert len(lines) == 60
        last = lines[-1]
        assert (last["job"], last["run"], last["name"], last["progress"]) == (job, 1, "import", "228/313")
        assert (last["elapsed"], last["health"]) in (("14 min", "ok"), ("15 min", "ok"))
        assert 0 <= last["heartbeat_age_s"] <= 5

    many = stage.supervisor.dispatcher.lanes["default"]
    many.configured = 100
    await stage.submit(30)
    await anyio.sleep(1)
    with structlog.testing.capture_logs() as logs:
        await anyio.sleep(15)
        (line,) = [line for line in logs if line["event"] == "still_running"]
    assert (line["count"], line["late"], line["stalled"], line["longest_job"]) == (31, 0, 0, job)


async def test_a_timeout_that_comes_while_a_run_is_being_ended_changes_nothing(stage: Stage) -> None:
    """The restart that somebody asked for before is carried out."""
    stage.runner.deaf_to = {"ask"}
    job, _ = await running(stage, timeout_s=100.0, grace_s=30.0)
    await anyio.sleep(90)
    await stage.supervisor.restart(job, ME, from_start=False, reason=None)
    stage.runner.duration = 10.0
    ended = await stage.until(job, "succeeded", "failed")
    assert (ended.state, ended.run.number if ended.run else 0) == ("succeeded", 2)
