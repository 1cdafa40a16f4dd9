"""Removing ended jobs, their output included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from fakes.runner import FakeRunner
from jobkeepd.core.model import RunRef
from jobkeepd.errors import UnknownJob
from jobkeepd.runner.output import Outputs
from jobkeepd.supervisor.removal import Removal

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio


class Disk:
    """Whose output was deleted, and whose cannot be."""

    def __init__(self) -> None:
        self.deleted: list[tuple[str, int]] = []
        self.stuck: set[str] = set()

    async def discard(self, runs: Mapping[str, int]) -> tuple[str, ...]:
        gone = {job: newest for job, newest in runs.items() if job not in self.stuck}
        self.deleted += gone.items()
        return tuple(gone)


def removal(stage: Stage, disk: Disk) -> Removal:
    return Removal(stage.supervisor.dispatcher, replace(stage.workshop, discard=disk.discard))


async def test_output_is_deleted_after_the_commit(stage: Stage) -> None:
    """And then nothing is on record of it any more."""
    disk = Disk()
    job, other = await stage.submit(2)
    await stage.until(job, "succeeded")
    await stage.until(other, "succeeded")
    removed = await removal(stage, disk).remove([job, other], ME, "old")
    assert (removed.ids, disk.deleted) == ((job, other), [(job, 1), (other, 1)])
    assert await stage.store.leftovers(9) == []
    with pytest.raises(UnknownJob):
        await stage.store.get(job)


async def test_what_a_dead_daemon_did_not_delete_the_next_one_does(stage: Stage) -> None:
    """What cannot be deleted keeps nobody else's output, and is tried again."""
    disk = Disk()
    jobs = await stage.submit(3)
    for job in jobs:
        await stage.until(job, "succeeded")
    disk.stuck = set(jobs)
    assert (await removal(stage, disk).remove(jobs, ME)).ids == tuple(jobs)
    assert [left.job for left in await stage.store.leftovers(9)] == jobs
    disk.stuck = {jobs[0]}
    await removal(stage, disk).clear()
    assert disk.deleted == [(jobs[1], 1), (jobs[2], 1)]
    assert [left.job for left in await stage.store.leftovers(9)] == jobs[:1]
    disk.stuck = set()
    await removal(stage, disk).clear()
    assert await stage.store.leftovers(9) == []


async def test_a_job_that_has_just_ended_is_removed_when_its_task_is_over(stage: Stage) -> None:
    """Its seat may still be about to name its output; nobody is surprised that it is gone."""
    disk = Disk()
    (job,) = await stage.submit()
    while (found := await stage.store.get(job)).state != "succeeded":
        await anyio.sleep(0.01)
    dispatcher = stage.supervisor.dispatcher
    dispatcher.unsettled.add(job)  # as if an earlier daemon had left it
    removing = anyio.Event()

    async def remove() -> None:
        await removal(stage, disk).remove([found.id], ME)
        removing.set()

    stage.group.start_soon(remove)
    await anyio.sleep(5)
    assert not removing.is_set()
    assert await stage.store.get(job) == found
    dispatcher.unsettled.discard(job)
    dispatcher.leaving.let_go(job)
    await removing.wait()
    assert (disk.deleted, dispatcher.broken) == ([(job, 1)], {})


async def test_one_that_runs_is_refused_at_once(stage: Stage) -> None:
    """Nobody waits for its end."""
    assert isinstance(stage.runner, FakeRunner)
    stage.runner.duration = 1e6
    (job,) = await stage.submit()
    await stage.until(job, "running")
    began = anyio.current_time()
    removed = await removal(stage, Disk()).remove([job, "gone"], ME)
    assert (removed.ids, [live.id for live in removed.live]) == ((), [job])
    assert anyio.current_time() == began


def outputs_of(folder: Path, runs: Sequence[RunRef]) -> Outputs:
    outputs = Outputs(str(folder))
    outputs.prepare()
    for run in runs:
        stdout, _ = outputs.begin("seat", run)
        Path(stdout).write_text(run.id)
        outputs.keep(run)
    return outputs


async def test_the_files_of_its_runs_are_deleted_and_no_others(tmp_path: Path) -> None:
    """Both streams of each run that has written something; what cannot be deleted keeps nobody else's."""
    outputs = outputs_of(tmp_path, [RunRef("aa", 1, 0), RunRef("aa", 2, 0), RunRef("aa", 12, 0), RunRef("aab", 1, 0)])
    assert await outputs.discard({"aa": 2}) == ("aa",)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["aa.12.stdout", "aab.1.stdout"]
    (tmp_path / "runs" / "stuck.1.stdout").mkdir()
    assert await outputs.discard({"stuck": 1, "aa": 12, "zz": 1}) == ("aa", "zz")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["aab.1.stdout", "stuck.1.stdout"]
