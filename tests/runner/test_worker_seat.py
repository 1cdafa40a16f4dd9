"""A seat for functions: which runs its worker has begun, and until when that stays on record."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec, Progress
from jobkeep.protocol.vocabulary import PROTOCOL_VERSION
from jobkeep.protocol.worker import AttachParameters
from jobkeepd.clock import SystemClock
from jobkeepd.core.admission import Need
from jobkeepd.core.ending import NeverSent, RunEnd, WorkerDied
from jobkeepd.core.model import Job, Run, SavedCheckpoint
from jobkeepd.runner.base import Launch, Signs
from jobkeepd.runner.environment import Directories, worker_run
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.pool import Pool
from jobkeepd.runner.settings import WorkerSettings
from jobkeepd.runner.stragglers import Stragglers
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.runner.worker_seat import WorkerSeat
from jobkeepd.spawner import record

from .orders import order

pytestmark = pytest.mark.anyio


class Adopted:
    """A worker's seat that an earlier daemon made; a command that sleeps stands for the worker."""

    def __init__(self, runtime: Path, seat: WorkerSeat, tasks: anyio.abc.TaskGroup) -> None:
        self.seat = seat
        self.record = Path(record.run_path(str(runtime), worker_run(seat.name)))
        self.begun = Path(record.begun_path(str(runtime), worker_run(seat.name)))
        self.ends: dict[str, RunEnd] = {}
        self._tasks = tasks

    async def rejoin(self, *launches: Launch) -> None:
        async def follow(launch: Launch) -> None:
            self.ends[launch.job.id] = await self.seat.rejoin(launch)

        for launch in launches:
            self._tasks.start_soon(follow, launch)
        await anyio.wait_all_tasks_blocked()

    async def until_ended(self, *jobs: str) -> None:
        with anyio.fail_after(60):
            while not self.ends.keys() >= set(jobs):
                await anyio.sleep(0.002)


@pytest.fixture
async def adopted(runtime: Path, launcher: Launcher) -> AsyncIterator[Adopted]:
    outputs = Outputs(str(runtime / "logs"))
    outputs.prepare()
    surroundings = Surroundings(
        directories=Directories(socket="socket", spool="spool", state="/", runtime=str(runtime)),
        outputs=outputs,
        clock=SystemClock(),
        forget=launcher.forget,
        secret=b"",
        grace=5.0,
        checkpoint_every=1,
        settings=WorkerSettings(),
        stragglers=Stragglers(),
    )
    slot = await launcher.open()
    execution = await slot.start(replace(order(runtime, "sleep", "600"), run=worker_run(slot.name)))
    async with anyio.create_task_group() as tasks:
        pool = Pool(launcher, surroundings, tasks, max_idle=1)
        seat = pool.adopt(Need(python="python", cwd="/"), slot, execution)
        assert isinstance(seat, WorkerSeat)
        yield Adopted(runtime, seat, tasks)
        tasks.cancel_scope.cancel()


def launch(job: str, claimed_at: float) -> Launch:
    run = Run(number=1, fence=1, state="starting", seat="", epoch=1, cookie="secret", claimed_at=claimed_at)
    spec = JobSpec(function="m:f")
    return Launch(
        Job(seq=1, id=job, spec=spec, environment="e", owner=0, state="running", created_at=0.0, run=run),
        SavedCheckpoint(),
        {},
        Signs(Progress()),
    )


def hello(run: str | None) -> AttachParameters:
    return AttachParameters("seat", "cookie", 1, PROTOCOL_VERSION, run, 1)


async def test_what_a_worker_has_begun_stays_on_record_until_the_end_is_durable(adopted: Adopted) -> None:
    """A daemon that is killed in between must not find a run without a trace, which it would start again."""
    adopted.begun.write_text("a.1\n")
    await adopted.rejoin(launch("a", 1.0))
    await adopted.seat.terminate(launch("a", 1.0).job.ref)
    await adopted.until_ended("a")
    end = adopted.ends["a"]
    assert isinstance(end, WorkerDied)
    assert end.exit.status == signal.SIGTERM
    await anyio.wait_all_tasks_blocked()
    assert adopted.record.exists()
    assert adopted.begun.exists()

    adopted.seat.settle(launch("a", 1.0).job.ref)
    with anyio.fail_after(60):
        while adopted.record.exists() or adopted.begun.exists():
            await anyio.sleep(0.002)


async def test_runs_of_a_dead_worker_are_told_apart_by_what_it_had_begun(adopted: Adopted) -> None:
    """Not by the order of their claims: the clock of the host may have been set back between two."""
    adopted.begun.write_text("a.1\n")
    await adopted.rejoin(launch("a", 9.0), launch("b", 1.0))
    await adopted.seat.end("a test")
    await adopted.until_ended("a", "b")
    assert isinstance(adopted.ends["a"], WorkerDied)
    assert isinstance(adopted.ends["b"], NeverSent)


async def test_runs_of_a_living_worker_are_told_apart_by_what_it_has_begun(adopted: Adopted) -> None:
    """`a` has ended, and the worker will say so again; it has `b`; the order for `c` died with its connection."""
    adopted.begun.write_text("a.1\nb.1\n")
    await adopted.rejoin(launch("a", 9.0), launch("b", 5.0), launch("c", 1.0))
    adopted.seat.attach(hello("b.1"), lambda _: None, lambda: None)
    await adopted.until_ended("c")
    assert isinstance(adopted.ends["c"], NeverSent)
    await anyio.wait_all_tasks_blocked()
    assert adopted.ends.keys() == {"c"}


async def test_without_that_record_the_run_it_holds_tells_them_apart(adopted: Adopted) -> None:
    """A worker of before it was kept: what was claimed later never came, what was claimed before has ended."""
    await adopted.rejoin(launch("a", 1.0), launch("b", 5.0), launch("c", 9.0))
    adopted.seat.attach(hello("b.1"), lambda _: None, lambda: None)
    await adopted.until_ended("c")
    await anyio.wait_all_tasks_blocked()
    assert adopted.ends.keys() == {"c"}
