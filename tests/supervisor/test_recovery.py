"""Recovery while the daemon lives, in virtual time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from fakes.runner import FakeSeat
from jobkeepd.core.ending import Finished, RunEnd
from supervisor.conftest import ME, Stage

pytestmark = pytest.mark.anyio


async def function(stage: Stage, **spec: object) -> str:
    """A running function that gives no sign of life."""
    stage.runner.duration = 1e7
    (job,) = await stage.submit(command=None, function="m:f", **spec)
    await stage.until(job, "running")
    return job


async def test_a_silent_function_is_ended_for_sure_and_failed(stage: Stage) -> None:
    """Its process is gone before it is marked; the journal says why, and who asked for nothing."""
    job = await function(stage)
    await anyio.sleep(2700)
    found = await stage.until(job, "failed")
    assert stage.runner.live[job] == 0
    assert found.outcome == "lost"
    assert found.reason is not None
    assert found.reason.startswith("recovered: no sign of life for 30 min")
    assert "recovered" in await stage.kinds(job)


async def test_a_function_that_beats_is_left_alone_however_long_it_takes(stage: Stage) -> None:
    """Age is counted from its last sign of life."""
    job = await function(stage)
    life = stage.supervisor.dispatcher.tasks[job].life
    assert life is not None
    for _ in range(5):
        life.signs.beat(None, anyio.current_time())
        await anyio.sleep(1700)
    assert (await stage.store.get(job)).state == "running"
    assert "recovered" not in await stage.kinds(job)


async def test_a_check_writes_nothing_and_predicts_the_real_run(stage: Stage) -> None:
    """The same rows, and afterwards what they said."""
    resumed = await function(stage, on_lost="resume")
    failed = await function(stage, on_lost="fail")
    (command,) = await stage.submit(queue="single")
    await stage.until(command, "running")
    await anyio.sleep(900)
    recovery = stage.supervisor.recovery
    before = await stage.store.last_seq()
    predicted = await recovery.recover_once(check=True, older_than=600.0)
    assert await stage.store.last_seq() == before
    assert {row.job.id: row.finding.action for row in predicted} == {
        resumed: "resume", failed: "fail", command: "leave",
    }  # fmt: skip
    done = await recovery.recover_once(older_than=600.0, by=ME)
    assert [row.finding for row in done] == [row.finding for row in predicted]
    assert (await stage.store.get(failed)).state == "failed"
    assert (await stage.store.get(command)).state == "running"
    again = await stage.until(resumed, "running")
    assert again.run is not None
    assert again.run.number == 2
    noted = [entry for entry in await stage.store.history(failed) if entry.kind == "recovered"]
    assert (noted[0].by, noted[0].data["action"]) == (ME, "fail")


async def test_recovery_twice_is_recovery_once(stage: Stage) -> None:
    """The second finds nothing to do."""
    job = await function(stage)
    await anyio.sleep(900)
    recovery = stage.supervisor.recovery
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(lambda: recovery.recover_once(older_than=600.0))
    assert [row.job.id for row in await recovery.recover_once(older_than=600.0)] == []
    assert (await stage.kinds(job)).count("failed") == 1


async def test_what_a_run_achieved_at_the_last_moment_stays_true(stage: Stage) -> None:
    """It succeeded while it was being ended."""
    job = await function(stage)

    def end(*_: object) -> RunEnd:
        return Finished("succeeded", 5.0)

    stage.runner.end = end  # type: ignore[method-assign]
    await anyio.sleep(900)
    await stage.supervisor.recovery.recover_once(older_than=600.0)
    assert (await stage.store.get(job)).state == "succeeded"


async def test_a_run_whose_task_broke_is_followed_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seat knows what became of it."""
    task_run = FakeSeat.run

    async def broken(seat: FakeSeat, *arguments: Any) -> RunEnd:
        arguments[1](None)  # it has started
        raise RuntimeError("a bug")

    monkeypatch.setattr(FakeSeat, "run", broken)
    (other,) = await stage.submit()
    await stage.until(other, "running")
    monkeypatch.setattr(FakeSeat, "run", task_run)
    await anyio.sleep(1)
    assert stage.supervisor.dispatcher.broken.keys() == {other}
    (row,) = await stage.supervisor.recovery.recover_once()
    assert (row.job.id, row.finding.action) == (other, "adopt")
    await stage.until(other, "succeeded")


async def test_nobody_waits_because_a_word_was_lost(stage: Stage) -> None:
    """What is queued on disk is found at the next look."""
    stage.supervisor.dispatcher.offer = lambda job: None  # type: ignore[method-assign]
    (job,) = await stage.submit()
    await stage.until(job, "succeeded")
