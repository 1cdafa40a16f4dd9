"""Cancel, restart, resume, time-out: each ends the run for sure, in its steps."""

from __future__ import annotations

import anyio
import pytest

from fakes.runner import BOOT, FakeSeat
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.ending import NeverSent
from jobkeepd.errors import IllegalTransition

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio
FOREVER = 1e6


async def running(stage: Stage, **spec: object) -> str:
    """A job that runs until it is stopped."""
    stage.runner.duration = FOREVER
    (job,) = await stage.submit(**spec)
    await stage.until(job, "running")
    return job


async def test_cancel_asks_a_running_job_and_waits_for_its_end(stage: Stage) -> None:
    """It is cancelling until its process is gone."""
    job = await running(stage)
    assert (await stage.supervisor.cancel(job, ME, force=False, reason="enough")).state == "cancelling"
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, stage.runner.seats[0].heard) == ("cancelled", ["ask"])
    kinds = ["submitted", "started", "cancel_requested", "signalled", "ended", "cancelled"]
    assert await stage.kinds(job) == kinds
    said = (await stage.store.history(job))[3]
    assert (said.by, said.run) == (ME, 1)
    assert said.data == {
        "signal": "SIGTERM", "pid": 4711, "boot_id": BOOT, "start_ticks": 7, "pidfd_inode": 9, "scope": "group",
        "command": "true", "evidence": ["record", "slot"], "reason": "the job was cancelled: enough",
    }  # fmt: skip


async def test_a_deaf_command_is_killed_after_one_grace(stage: Stage) -> None:
    """A command's asking is SIGTERM already: what follows is SIGKILL."""
    stage.runner.deaf_to = {"ask"}
    job = await running(stage, grace_s=3.0)
    began = anyio.current_time()
    await stage.supervisor.cancel(job, ME, force=False, reason=None)
    await stage.until(job, "cancelled")
    assert stage.runner.seats[0].heard == ["ask", "kill"]
    assert 3.0 <= anyio.current_time() - began < 3.5


async def test_a_deaf_function_is_terminated_and_then_killed(stage: Stage) -> None:
    """Cooperative, then SIGTERM, then SIGKILL."""
    stage.runner.deaf_to = {"ask", "terminate"}
    job = await running(stage, command=None, function="m:f", grace_s=3.0)
    began = anyio.current_time()
    await stage.supervisor.cancel(job, ME, force=False, reason=None)
    await stage.until(job, "cancelled")
    assert stage.runner.seats[0].heard == ["ask", "terminate", "kill"]
    assert 6.0 <= anyio.current_time() - began < 6.5


async def test_a_cancellation_of_a_start_that_never_arrives_ends_the_job(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seat is lost after the job was cancelled and before its start was heard of."""

    async def lose(*_: object) -> NeverSent:
        await anyio.sleep(5)
        return NeverSent(1.0)

    monkeypatch.setattr(FakeSeat, "run", lose)
    (job,) = await stage.submit()
    await anyio.sleep(1)
    assert (await stage.supervisor.cancel(job, ME, force=False, reason=None)).state == "queued"
    with anyio.fail_after(60):
        assert (await stage.until(job, *ENDED_STATES)).state == "cancelled"


async def test_force_skips_every_step(stage: Stage) -> None:
    """Also when a patient cancellation is under way."""
    stage.runner.deaf_to = {"ask", "terminate"}
    job = await running(stage, grace_s=3600.0)
    await stage.supervisor.cancel(job, ME, force=False, reason=None)
    began = anyio.current_time()
    await stage.supervisor.cancel(job, ME, force=True, reason=None)
    await stage.until(job, "cancelled")
    assert anyio.current_time() - began < 1


async def test_force_is_announced_to_the_bridge_of_a_run_and_to_nobody_else(stage: Stage) -> None:
    """What it carries is elsewhere, and it alone can end that."""
    stage.runner.deaf_to = {"ask", "terminate"}
    for on, heard in ((None, ["kill"]), ("dask:lab", ["ask", "kill"])):
        job = await running(stage, command=None, function="m:f", on=on)
        await stage.supervisor.cancel(job, ME, force=True, reason=None)
        await stage.until(job, "cancelled")
        assert stage.runner.seats[-1].heard == heard


async def test_restart_ends_the_run_and_runs_the_job_again(stage: Stage) -> None:
    """Never two at once, and no attempt is charged."""
    job = await running(stage)
    stage.runner.duration = 1.0
    await stage.supervisor.restart(job, ME, from_start=False, reason=None)
    ended = await stage.until(job, *ENDED_STATES)
    assert (ended.state, ended.run.number if ended.run else 0, ended.attempts) == ("succeeded", 2, 0)


async def test_resume_continues_a_cancelled_job_and_nothing_else(stage: Stage) -> None:
    """A succeeded job is refused with the reason."""
    job = await running(stage)
    await stage.supervisor.cancel(job, ME, force=True, reason=None)
    await stage.until(job, "cancelled")
    stage.runner.duration = 1.0
    await stage.supervisor.resume(job, ME, failed_items=False, reason=None)
    await stage.until(job, "succeeded")
    with pytest.raises(IllegalTransition, match="succeeded"):
        await stage.supervisor.resume(job, ME, failed_items=False, reason=None)


async def test_a_run_over_its_timeout_fails_and_says_so(stage: Stage) -> None:
    """Two hours pass in milliseconds."""
    job = await running(stage, timeout_s=7200.0)
    (ended,) = await stage.supervisor.wait([job], any=False, timeout=None)
    assert (ended.state, ended.run.reason if ended.run else None) == ("failed", "timed out after 7200 s")


async def test_the_daemon_lets_go_of_runs_when_it_ends(stage: Stage) -> None:
    """Nothing is asked to stop, claims that were not sent are taken back."""
    stage.runner.duration = FOREVER
    jobs = await stage.submit(4)
    await stage.until(jobs[1], "running")
    await anyio.sleep(1)
    await stage.supervisor.stop()
    await anyio.sleep(1)
    assert [seat.heard for seat in stage.runner.seats] == [[], []]
    states = [(await stage.store.get(job)) for job in jobs]
    assert [job.state for job in states] == ["running", "running", "queued", "queued"]
    assert all(job.run is None for job in states[2:])


async def test_wait_returns_what_has_ended_by_its_timeout(stage: Stage) -> None:
    """And with `any`, as soon as one has."""
    (quick,) = await stage.submit()
    await stage.until(quick, "succeeded")
    slow = await running(stage)
    assert [job.id for job in await stage.supervisor.wait([quick, slow], any=True, timeout=None)] == [quick]
    assert [job.id for job in await stage.supervisor.wait([quick, slow], any=False, timeout=5)] == [quick]
