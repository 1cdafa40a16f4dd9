"""A seat for commands on a real slot: stops that come early, output, environment."""

from __future__ import annotations

import signal
from pathlib import Path
from types import MappingProxyType

import anyio
import pytest

from jobkeep.protocol.jobs import JobSpec, Progress
from jobkeepd.clock import SystemClock
from jobkeepd.core.ending import Exited, RunEnd
from jobkeepd.core.liveness import Signs
from jobkeepd.core.model import Job, Run, RunRef, SavedCheckpoint
from jobkeepd.runner.base import Launch
from jobkeepd.runner.command_seat import CommandSeat
from jobkeepd.runner.environment import Directories, cleaned
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.settings import WorkerSettings
from jobkeepd.runner.stragglers import Stragglers
from jobkeepd.runner.surroundings import Surroundings

pytestmark = pytest.mark.anyio

INHERITED = MappingProxyType({"PATH": "/usr/bin:/bin", "JOBKEEP_JOB": "outer", "COLOUR": "red"})
ENVIRONMENT = cleaned(INHERITED)  # as the supervisor hands it over


@pytest.fixture
def outputs(runtime: Path) -> Outputs:
    outputs = Outputs(str(runtime / "logs"))
    outputs.prepare()
    return outputs


@pytest.fixture
async def seat(launcher: Launcher, outputs: Outputs) -> CommandSeat:
    return CommandSeat(
        await launcher.open(),
        Surroundings(
            directories=Directories(socket="socket", spool="spool", state="/", runtime="/run"),
            outputs=outputs,
            clock=SystemClock(),
            forget=launcher.forget,
            secret=b"",
            grace=5.0,
            checkpoint_every=1,
            settings=WorkerSettings(),
            stragglers=Stragglers(),
        ),
    )


def launch(number: int, *command: str, lock_token: int | None = None, **env: str) -> Launch:
    spec = JobSpec(command=list(command), env=env)
    run = Run(
        number=number, fence=number, state="starting", seat="", epoch=1, cookie="secret", claimed_at=0.0,
        lock_token=lock_token,
    )  # fmt: skip
    job = Job(seq=1, id="a", spec=spec, environment="e", owner=0, state="starting", created_at=0.0, run=run)
    return Launch(job, SavedCheckpoint(), ENVIRONMENT, Signs(Progress()))


@pytest.mark.parametrize(("stop", "status"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)])
async def test_a_stop_that_comes_before_the_start_is_known_counts(seat: CommandSeat, stop: str, status: int) -> None:
    """It is made good for as soon as there is somebody to stop."""
    ends: list[RunEnd] = []

    async def run() -> None:
        ends.append(await seat.run(launch(1, "sleep", "600"), lambda _: None))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await anyio.lowlevel.checkpoint()
            await getattr(seat, stop)(RunRef("a", 1, 1))

    assert isinstance(ends[0], Exited)
    assert (ends[0].exit.status, ends[0].terminated) == (status, True)


async def test_a_stop_that_comes_late_does_not_meet_the_next_run(seat: CommandSeat) -> None:
    """The seat has passed on to another job: that one is left alone, and not called terminated."""
    await seat.run(launch(1, "true"), lambda _: None)
    ends: list[RunEnd] = []

    async def run() -> None:
        ends.append(await seat.run(launch(2, "sleep", "0.2"), lambda _: None))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await anyio.lowlevel.checkpoint()
            for verb in (seat.terminate, seat.kill):
                await verb(RunRef("a", 1, 1))

    assert isinstance(ends[0], Exited)
    assert (ends[0].exit.status, ends[0].terminated) == (0, False)


async def test_output_is_kept_where_there_is_any(seat: CommandSeat, outputs: Outputs, runtime: Path) -> None:
    """A silent run between two that write leaves no file, and none of their bytes go astray."""
    for number, script in enumerate(("echo one", ":", "echo three >&2"), 1):
        await seat.run(launch(number, "sh", "-c", script), lambda _: None)

    kept = {path.name: path.read_text() for path in (runtime / "logs/runs").iterdir()}
    assert kept == {"a.1.stdout": "one\n", "a.3.stderr": "three\n"}
    assert outputs.path("a", 2, "stdout").endswith("runs/a.2.stdout")


async def test_a_command_sees_its_submitters_variables_its_own_and_jobkeeps(seat: CommandSeat, runtime: Path) -> None:
    """Run after run; what a job that submits jobs has of jobkeep does not pass on."""
    for number, colour in enumerate(("red", "blue", "red"), 1):
        own = {} if colour == "red" else {"COLOUR": colour}
        lock_token = None if colour == "red" else 7
        await seat.run(launch(number, "env", lock_token=lock_token, **own), lambda _: None)

        lines = (runtime / f"logs/runs/a.{number}.stdout").read_text().split()
        assert dict(line.split("=", 1) for line in lines) == {
            "PATH": INHERITED["PATH"],
            "COLOUR": colour,
            "JOBKEEP_SOCKET": "socket",
            "JOBKEEP_JOB": "a",
            "JOBKEEP_RUN": str(number),
            "JOBKEEP_COOKIE": "secret",
            **({} if lock_token is None else {"JOBKEEP_LOCK_TOKEN": "7"}),
        }
