"""A drain starts nothing more, interrupts functions, uses up no attempt, and can be called off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from fakes.runner import FakeClock, FakeSeat
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.ending import Exited, Finished, RunEnd
from jobkeepd.core.model import Exit
from jobkeepd.runner.base import Launch
from jobkeepd.supervisor.drain import Report
from jobkeepd.supervisor.window import Window

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio
FOREVER = 1e6
FUNCTION = {"command": None, "function": "m:f"}


@pytest.fixture(autouse=True)
def functions_end_as_they_are_asked(stage: Stage) -> None:
    """As a worker does: interrupted by a drain, cancelled by a cancellation."""

    def end(launch: Launch, exit: Exit, terminated: bool) -> RunEnd:
        if launch.job.spec.function is None:
            return Exited(exit, terminated)
        asked = stage.runner.reasons.get(launch.job.id, [])
        if not asked:
            return Finished("succeeded", FakeClock().now())
        outcome = "cancelled" if asked[-1] == "cancelled" else "interrupted"
        return Finished(outcome, FakeClock().now(), reason=asked[-1])

    stage.runner.end = end  # type: ignore[method-assign]


async def running(stage: Stage, count: int = 1, **spec: object) -> list[str]:
    stage.runner.duration = FOREVER
    jobs = await stage.submit(count, **spec)
    for job in jobs[:2]:
        await stage.until(job, "running")
    return jobs


def told(report: Report) -> dict[str, tuple[str, str | None]]:
    """Job -> what the drain did with it, and how its run ended."""
    return {run.job.id: (run.fate, run.outcome) for run in report.runs}


async def test_functions_are_interrupted_and_queued_again_with_no_attempt_used(stage: Stage) -> None:
    """Even with one attempt alone; nothing runs when the drain returns."""
    jobs = await running(stage, 2, **FUNCTION)
    report = await stage.supervisor.drain.drain(ME, "wait", 60)
    assert report.over
    assert told(report) == dict.fromkeys(jobs, ("interrupt", "interrupted"))
    for id in jobs:
        job = await stage.store.get(id)
        assert (job.state, job.attempts, job.reason) == ("queued", 0, "the daemon was drained")
    assert stage.runner.live.total() == 0
    assert [seat.heard for seat in stage.runner.seats] == [["ask"], ["ask"]]


async def test_nothing_is_started_until_the_drain_is_called_off(stage: Stage) -> None:
    """Submits are accepted all the same, and run afterwards."""
    (interrupted,) = await running(stage, **FUNCTION)
    await stage.supervisor.drain.drain(ME, "wait", 60)
    (late,) = await stage.submit()
    await anyio.sleep(3600)
    assert [(await stage.store.get(job)).state for job in (interrupted, late)] == ["queued", "queued"]
    assert stage.supervisor.drain.since is not None
    stage.runner.duration = 1.0
    stage.runner.reasons.clear()
    assert stage.supervisor.drain.call_off(ME)
    ended = await stage.supervisor.wait([interrupted, late], any=False, timeout=60)
    assert [(job.state, job.attempts) for job in ended] == [("succeeded", 0), ("succeeded", 0)]
    assert stage.supervisor.drain.since is None
    assert not stage.supervisor.drain.call_off(ME)


async def test_claims_that_were_not_sent_are_revoked(stage: Stage) -> None:
    """Two run, two are claimed ahead of them: those are plainly queued again, in their order."""
    jobs = await running(stage, 4, **FUNCTION)
    await anyio.sleep(1)
    assert len(await stage.store.open_runs()) == 4
    report = await stage.supervisor.drain.drain(ME, "wait", 60)
    assert set(told(report)) == set(jobs[:2])
    assert [(await stage.store.get(job)).run for job in jobs[2:]] == [None, None]
    assert sorted(stage.runner.started) == jobs[:2]
    stage.runner.duration = 1.0
    stage.runner.reasons.clear()
    stage.supervisor.drain.call_off(ME)
    ended = await stage.supervisor.wait(jobs, any=False, timeout=60)
    assert {job.state for job in ended} == {"succeeded"}
    assert sorted(stage.runner.started) == sorted([*jobs[:2], *jobs])


async def test_a_drain_between_any_two_steps_of_a_start_sends_nothing_afterwards(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While jobs are picked, seats made, claims written and revoked: what was not sent is queued, and runs later."""

    def slow(honest: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            await anyio.sleep(0.005)
            return await honest(*arguments)

        return call

    monkeypatch.setattr(stage.store, "apply", slow(stage.store.apply))
    monkeypatch.setattr(stage.store, "queued", slow(stage.store.queued))
    monkeypatch.setattr(Window, "low", True)
    stage.runner.start_delay, stage.runner.duration = 0.012, 0.02
    jobs = await stage.submit(200)
    for moment in range(30):
        stage.supervisor.drain.call_off(ME)
        await anyio.sleep(moment * 0.0017)
        for seat in stage.runner.seats[:1]:
            seat.usable = moment % 3 > 0  # then the next start has a new seat to wait for
        before = len(stage.runner.started)
        report = await stage.supervisor.drain.drain(ME, "wait", 600)
        assert (report.over, stage.runner.live.total()) == (True, 0)
        await anyio.sleep(60)
        assert set(stage.runner.started[before:]) <= told(report).keys()  # it was on its way already
        assert [job.id for job in await stage.store.open_runs()] == []
    assert 0 < len(stage.runner.started) < len(jobs)
    stage.supervisor.drain.call_off(ME)
    ended = await stage.supervisor.wait(jobs, any=False, timeout=600)
    assert {(job.state, job.attempts) for job in ended} == {("succeeded", 0)}
    assert sorted(stage.runner.started) == sorted(jobs)


async def test_commands_are_waited_for_within_bounds(stage: Stage) -> None:
    """Then the drain goes on, and the next one who asks waits on."""
    (job,) = await running(stage)
    began = anyio.current_time()
    report = await stage.supervisor.drain.drain(ME, "wait", 30)
    assert (report.over, told(report)) == (False, {job: ("wait", None)})
    assert anyio.current_time() - began == pytest.approx(30)
    seat: FakeSeat = stage.runner.seats[0]
    seat.finish()
    report = await stage.supervisor.drain.drain(ME, "wait", 30)
    assert (report.over, told(report)) == (True, {job: ("wait", "succeeded")})
    assert seat.heard == []


async def test_commands_can_be_left(stage: Stage) -> None:
    """They run on, and nobody waits."""
    (command,) = await running(stage)
    (function,) = await stage.submit(**FUNCTION)
    await stage.until(function, "running")
    report = await stage.supervisor.drain.drain(ME, "leave", 60)
    assert report.over
    assert told(report) == {command: ("leave", None), function: ("interrupt", "interrupted")}
    assert (await stage.store.get(command)).state == "running"


async def test_a_function_that_reaches_no_checkpoint_is_left_alone(stage: Stage) -> None:
    """It was asked; nothing harder follows, however long it takes."""
    stage.runner.deaf_to = {"ask"}
    (job,) = await running(stage, **FUNCTION)
    report = await stage.supervisor.drain.drain(ME, "wait", 1200)
    assert (report.over, told(report)) == (False, {job: ("interrupt", None)})
    assert stage.runner.seats[0].heard == ["ask"]


async def test_a_cancellation_during_a_drain_wins(stage: Stage) -> None:
    """The job is cancelled, not queued; the drain counts it as ended."""
    stage.runner.deaf_to = {"ask"}
    (job,) = await running(stage, **FUNCTION)
    await stage.supervisor.drain.drain(ME, "wait", 1)
    await stage.supervisor.cancel(job, ME, force=False, reason=None)
    report = await stage.supervisor.drain.drain(ME, "wait", 3600)
    assert (await stage.store.get(job)).state == "cancelled"
    assert (report.over, told(report)) == (True, {job: ("wait", "cancelled")})
    assert stage.runner.seats[0].heard == ["ask", "ask", "terminate"]


async def test_a_drain_does_not_soften_a_cancellation(stage: Stage) -> None:
    """Who is being cancelled already is not asked to drain."""
    stage.runner.deaf_to = {"ask"}
    (job,) = await running(stage, grace_s=50.0, **FUNCTION)
    await stage.supervisor.cancel(job, ME, force=False, reason=None)
    await anyio.sleep(1)
    report = await stage.supervisor.drain.drain(ME, "leave", 3600)
    assert (report.over, told(report)) == (True, {job: ("wait", "cancelled")})
    assert stage.runner.reasons[job] == ["cancelled"]


async def test_a_drain_that_is_called_off_lets_go_of_who_waits(stage: Stage) -> None:
    """They hear that there is no drain any more."""
    await running(stage)
    reports: list[Report] = []

    async def drain() -> None:
        reports.append(await stage.supervisor.drain.drain(ME, "wait", None))

    async with anyio.create_task_group() as group:
        group.start_soon(drain)
        await anyio.sleep(5)
        stage.supervisor.drain.call_off(ME)
    assert reports == [Report(None, False, [])]


async def test_two_drains_at_once_tell_the_same(stage: Stage) -> None:
    """A function is asked once."""
    (job,) = await running(stage, **FUNCTION)
    reports: list[Report] = []

    async def drain() -> None:
        reports.append(await stage.supervisor.drain.drain(ME, "wait", 60))

    async with anyio.create_task_group() as group:
        group.start_soon(drain)
        group.start_soon(drain)
    assert [told(report) for report in reports] == [{job: ("interrupt", "interrupted")}] * 2
    assert stage.runner.reasons[job] == ["drain"]


async def test_a_retry_that_comes_due_waits_for_the_end_of_the_drain(stage: Stage) -> None:
    """It becomes queued and stays so."""
    stage.runner.end = lambda *args: Finished("failed", FakeClock().now())  # type: ignore[method-assign]
    stage.runner.duration = 0.5
    (job,) = await stage.submit(retries=1, backoff_s=10.0)
    await stage.until(job, "scheduled")
    await stage.supervisor.drain.drain(ME, "wait", 60)
    await anyio.sleep(600)
    assert (await stage.store.get(job)).state == "queued"
    stage.supervisor.drain.call_off(ME)
    assert (await stage.until(job, *ENDED_STATES)).attempts == 1


async def test_before_the_end_of_the_daemon_functions_are_interrupted_and_commands_run_on(stage: Stage) -> None:
    """Within bounds, and at once when somebody is in a hurry."""
    stage.runner.deaf_to = {"ask"}
    (function,) = await running(stage, **FUNCTION)
    (command,) = await stage.submit()
    await stage.until(command, "running")
    hurry = anyio.Event()
    began = anyio.current_time()
    await stage.supervisor.drain.before_the_end(40, hurry)
    assert anyio.current_time() - began == pytest.approx(40)
    hurry.set()
    await stage.supervisor.drain.before_the_end(40, hurry)
    assert anyio.current_time() - began == pytest.approx(40)
    await stage.supervisor.stop()
    assert [(await stage.store.get(job)).state for job in (function, command)] == ["running", "running"]


async def test_a_drain_is_in_the_journal_with_who_asked_for_it(stage: Stage) -> None:
    """Once for each drain, however often it is asked after."""
    await stage.supervisor.drain.drain(ME, "wait", 1)
    await stage.supervisor.drain.drain(ME, "wait", 1)
    stage.supervisor.drain.call_off(ME)
    entries = await stage.store.entries(0, 100)
    assert [(entry.kind, entry.by) for entry in entries] == [("drain_started", ME), ("drain_called_off", ME)]
