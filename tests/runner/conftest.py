"""A launcher in a runtime directory of its own, whose every process is gone when the test is over."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobkeepd.core.model import Identity
from jobkeepd.runner import identity
from jobkeepd.runner.launcher import Launcher
from jobkeepd.spawner import record


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def runtime() -> Iterator[Path]:
    """Short, since socket paths are limited; pytest's own tmp_path may not be."""
    path = Path(tempfile.mkdtemp(prefix="jk"))
    yield path
    for pid in holders(path, "spawner.lock", "slots/*.lock"):
        put_down(pid)
    for leader in path.glob("runs/*.run"):
        begun = record.read(str(path), leader.stem, record.LEADER)
        if begun is not None:
            identity.send(Identity(*begun["leader"]), signal.SIGKILL)
    while path.exists():
        with suppress(FileNotFoundError):  # who ends by itself removes files of its own meanwhile
            shutil.rmtree(path)


def holders(runtime: Path, *patterns: str) -> list[int]:
    found = [record.lock_holder(str(lock)) for pattern in patterns for lock in runtime.glob(pattern)]
    return [pid for pid in found if pid is not None]


def put_down_slots(runtime: Path) -> None:
    """Until none lives: one that is looked at may be handing its run over, from its shim to its warden."""
    while pids := holders(runtime, "slots/*.lock"):
        for pid in pids:
            put_down(pid)


def put_down(pid: int) -> None:
    """SIGKILL, and wait for the death."""
    try:
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was about to end by itself
    wait_for_death(pidfd)


def wait_for_death(pidfd: int) -> None:
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(60_000), "the process does not die"
    os.close(pidfd)


@pytest.fixture
async def launcher(runtime: Path) -> AsyncIterator[Launcher]:
    async with Launcher(runtime) as launcher:
        yield launcher
