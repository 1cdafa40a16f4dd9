"""What it costs to know whose 1,000 processes are, and how long that holds the daemon's event loop up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from bench.measure import INFORMATION, Bound, Sample
from bench.rig import Rig
from jobkeepd.clock import SystemClock
from jobkeepd.core.families import Families, Family
from jobkeepd.core.sight import OLD_ENOUGH, Claim, Mark
from jobkeepd.runner.sightings import Sightings
from jobkeepd.supervisor.ownership import Owners

PROCESSES = 1000
FAMILIES = Families([Family("driver", ["*driver"]), Family("browser", ["chromium", "args:--user-data-dir="], "driver")])


class EveryRun:
    """In place of claims by the store: each cookie is of a run that lives."""

    async def of(self, marks: Any, slots: Container[str]) -> dict[Mark, Claim]:
        return {mark: Claim(f"{mark.job}.1", True) for mark in marks}

    async def still_live(self, runs: Iterable[str]) -> frozenset[str]:
        return frozenset(runs)

    def runs(self) -> dict[str, str]:
        return {}

    leaders = runs


class Ownership:
    """The look of every half minute: at processes that an earlier one has seen, though each is read anew in turns."""

    name = "ownership"
    what = f"CPU of a look at {PROCESSES:,} processes that says whose each is / of reading /proc/PID/stat alone"
    unit = "ms"
    bound = Bound(at_most=60)

    def prepare(self, rig: Rig) -> None:
        self._owners = owners(rig.memory / self.name)

    def round(self) -> Sample:
        with crowd():
            anyio.run(known, self._owners)
            ours = cpu_ms(lambda: anyio.run(self._owners.look))
            return Sample(cpu_ms(read_all), ours)


class OwnershipFirst:
    name = "ownership_first"
    what = f"CPU of the first look at {PROCESSES:,} processes / of reading /proc/PID/stat alone"
    unit = "ms"
    bound = INFORMATION

    def prepare(self, rig: Rig) -> None:
        self._owners = owners(rig.memory / self.name)

    def round(self) -> Sample:
        with crowd():
            ours = cpu_ms(lambda: anyio.run(self._owners.look))
            return Sample(cpu_ms(read_all), ours)


class OwnershipPause:
    name = "ownership_pause"
    what = f"longest time that a first look at {PROCESSES:,} processes holds the event loop up / longest without one"
    unit = "ms"
    bound = Bound(at_most=5)

    def prepare(self, rig: Rig) -> None:
        self._owners = owners(rig.memory / self.name)

    def round(self) -> Sample:
        with crowd():
            ours = anyio.run(longest_pause, self._owners.look)
            return Sample(anyio.run(longest_pause, partial(anyio.sleep, 0.2)), ours)


def cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


async def known(owners: Owners) -> None:
    """Until all processes were seen when they were old enough to be told by their start."""
    await owners.look()
    await anyio.sleep(OLD_ENOUGH)
    await owners.look()


async def longest_pause(work: Callable[[], Awaitable[object]]) -> float:
    """Between two turns of a loop that has nothing else to do, in ms."""
    longest = 0.0

    async def turn() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await anyio.sleep(0.0005)
            now = time.perf_counter()
            longest, last = max(longest, now - last - 0.0005), now

    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        await anyio.sleep(0.01)
        await work()
        group.cancel_scope.cancel()
    return longest * 1000


def owners(runtime: Path) -> Owners:
    (runtime / "slots").mkdir(parents=True)
    claims: Any = EveryRun()
    return Owners(Sightings(str(runtime), os.getuid()), claims, FAMILIES, os.getuid(), 10.0, SystemClock())


@contextmanager
def crowd() -> Iterator[None]:
    """Processes with the environment of runs."""
    variables = {**os.environ, "JOBKEEP_JOB": "bench", "JOBKEEP_RUN": "1"}
    made = [
        os.posix_spawn("/bin/sleep", ["sleep", "600"], {**variables, "JOBKEEP_COOKIE": f"{number:040}"})
        for number in range(PROCESSES)
    ]
    try:
        yield
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
        for pid in made:
            os.waitpid(pid, 0)


def read_all() -> None:
    """One file of each process."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                file.read()
