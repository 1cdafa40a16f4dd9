"""A daemon whose next start may be of another version."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crash.judges import slay_all
from jobkeep.protocol import worker
from jobkeep.testing import PrivateDaemon
from jobkeepd.spawner import record

OTHER_VERSION = Path(__file__).with_name("other_version.py")
JOBS = '''
import os, sys, time

def pid() -> int:
    return os.getpid()

async def batch(ctx, log: str, gate: str):
    """Each item writes a line; the eighth waits for the gate."""
    async def one(item: int) -> str:
        if item == 7:
            while not os.path.exists(gate):
                await ctx.sleep(0.01)
        with open(log, "a") as file:
            file.write(f"{item}\\n")
        if item % 10 == 3:
            raise ValueError(f"item {item} is bad")
        return "even" if item % 2 == 0 else "odd"
    return (await ctx.for_each(range(20), one, key=str, every=5)).tallies
'''


class Version(NamedTuple):
    """Protocols: that of the slots, and those of workers from the oldest to the newest."""

    slots: int
    oldest: int
    newest: int


PRESENT = Version(record.PROTOCOL, worker.OLDEST, worker.PROTOCOL)
NEXT = Version(record.PROTOCOL + 1, worker.OLDEST, worker.PROTOCOL + 1)


class VersionedDaemon(PrivateDaemon):
    """`version` is that of the next start."""

    version = PRESENT

    def _command(self) -> list[str]:
        if self.version == PRESENT:
            return super()._command()
        return [sys.executable, str(OTHER_VERSION), *map(str, self.version)]


@pytest.fixture
def daemon() -> Iterator[VersionedDaemon]:
    """Not started. Nothing of it is left when the test is over."""
    private = VersionedDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="4", JOBKEEP_JOBS_GRACE="1s")
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    try:
        yield private
    finally:
        private.kill()
        slay_all(private.home)
        shutil.rmtree(private.home, ignore_errors=True)
