"""What the processes of a command say of their run, and who is believed."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from msgspec import Raw

from jobkeepd.core.model import Job
from jobkeepd.errors import IllegalTransition, NotThisRun
from jobkeepd.store.changes import FenceRun
from jobkeepd.supervisor.command_reports import CommandReports

from .conftest import Stage
from .left_behind import Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def commands(stage: Stage) -> CommandReports:
    return stage.supervisor.commands


async def running(stage: Stage) -> Job:
    stage.runner.duration = 1e6
    (id,) = await stage.submit()
    return await stage.until(id, "running")


async def second_run(stage: Stage, job: Job) -> Job:
    """Of a job that is being restarted."""
    while True:
        found = await stage.store.get(job.id)
        if found.run is not None and (found.run.number, found.state) == (2, "running"):
            return found
        await anyio.sleep(0.1)


def proof(job: Job) -> tuple[str, str]:
    assert job.run is not None
    return job.ref.id, job.run.cookie


async def test_progress_is_seen_at_once_and_keeps_what_is_not_said_again(
    stage: Stage, commands: CommandReports
) -> None:
    """A total and a note stay; what was told is in the store when the run has ended."""
    job = await running(stage)
    await commands.progress(*proof(job), 3, 10, "third file")
    await commands.progress(*proof(job), 4, None, None)
    live = stage.supervisor.live(job)
    assert live is not None
    assert (live.progress.done, live.progress.total, live.progress.note) == (4, 10, "third file")
    stage.runner.seats[0].finish()
    await stage.until(job.id, "succeeded")
    assert (await stage.store.get(job.id)).progress == live.progress


async def test_what_one_run_saves_the_next_one_gets(stage: Stage, commands: CommandReports) -> None:
    """With the progress of that moment; nothing was saved before, and that is told apart from a saved null."""
    job = await running(stage)
    assert (await commands.load(*proof(job))).seq == 0
    await commands.progress(*proof(job), 2, 9, None)
    await commands.save(*proof(job), Raw(b'{"page": 4}'))
    stored = await stage.store.get(job.id)
    assert (stored.checkpoint_seq, stored.progress.done, stored.progress.total) == (1, 2, 9)
    await stage.supervisor.restart(job.id, None, from_start=False, reason=None)
    again = await second_run(stage, job)
    saved = await commands.load(*proof(again))
    assert (saved.seq, bytes(saved.state)) == (1, b'{"page": 4}')


async def test_from_the_start_means_without_what_was_saved(stage: Stage, commands: CommandReports) -> None:
    """Counting begins anew, too."""
    job = await running(stage)
    await commands.save(*proof(job), Raw(b"7"))
    await stage.supervisor.restart(job.id, None, from_start=True, reason=None)
    again = await second_run(stage, job)
    assert (await commands.load(*proof(again))).seq == 0
    await commands.save(*proof(again), Raw(b"1"))
    saved = await commands.load(*proof(again))
    assert (saved.seq, bytes(saved.state)) == (1, b"1")


async def test_two_that_save_at_once_are_both_stored(stage: Stage, commands: CommandReports) -> None:
    """Processes of a script do not count their checkpoints; none is taken for the repetition of another."""
    job = await running(stage)
    async with anyio.create_task_group() as group:
        for state in (b"1", b"2", b"3"):
            group.start_soon(commands.save, *proof(job), Raw(state))
    assert (await stage.store.get(job.id)).checkpoint_seq == 3


async def test_nobody_else_is_believed(stage: Stage, commands: CommandReports) -> None:
    """Another cookie, another run, a run that is fenced or over, a job that there is not: each is refused."""
    job = await running(stage)
    run, cookie = proof(job)
    for wrong in ((run, "other"), (f"{job.id}.2", cookie), ("nosuch.1", cookie), (f"{job.id[:3]}.1", cookie)):
        with pytest.raises(NotThisRun):
            await commands.save(*wrong, Raw(b"1"))
        with pytest.raises(NotThisRun):
            await commands.progress(*wrong, 1, None, None)
    await stage.store.apply(FenceRun(run=job.ref, at=1.0, reason="test"))
    with pytest.raises(NotThisRun):
        await commands.load(run, cookie)
    stage.runner.seats[0].finish()
    await stage.until(job.id, "succeeded", "failed")
    with pytest.raises(NotThisRun):
        await commands.save(run, cookie, Raw(b"1"))
    assert (await stage.store.get(job.id)).checkpoint_seq == 0


async def test_a_function_has_its_context(stage: Stage, commands: CommandReports) -> None:
    """Its worker counts its checkpoints, and somebody else's would get between them."""
    stage.runner.duration = 1e6
    (id,) = await stage.submit(command=None, function="m:f")
    job = await stage.until(id, "running")
    with pytest.raises(IllegalTransition, match="JobContext"):
        await commands.save(*proof(job), Raw(b"1"))


async def test_a_run_that_is_not_followed_yet_is_stored_directly(
    stage: Stage, commands: CommandReports, tmp_path: Path
) -> None:
    """Its slot does not answer, but its process does."""
    stage.supervisor.dispatcher.hold_all()
    job = await Scene(stage, tmp_path).left("quiet")
    await commands.progress(*proof(job), 5, 8, None)
    await commands.save(*proof(job), Raw(b"5"))
    stored = await stage.store.get("quiet")
    assert (stored.progress.done, stored.progress.total, stored.checkpoint_seq) == (5, 8, 1)
