"""ctx.spawn: processes that end with the job."""

from __future__ import annotations

import signal
import subprocess
import sys

import anyio
import pytest

from jobkeep.errors import Stopped
from jobkeep.sdk import BlockingJobContext, JobContext
from jobkeep.testing.memory import MemoryPort, Records

pytestmark = pytest.mark.anyio


def ended(port: MemoryPort) -> None:
    """The function has returned."""
    for close in port.closing:
        close()


async def test_a_child_is_waited_for_by_several_and_tells_its_status() -> None:
    """On both event loops; -N for a signal, as subprocess has it."""
    port = MemoryPort(Records())
    context = JobContext(Records().order(), port)
    child = await context.spawn(["sleep", "3600"])
    statuses: list[int] = []

    async def wait() -> None:
        statuses.append(await child.wait())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert child.returncode is None
        child.terminate()
    assert statuses == [-signal.SIGTERM] * 2
    child.kill()  # nobody is hit
    assert (await child.wait(), child.returncode) == (-signal.SIGTERM, -signal.SIGTERM)
    ended(port)


async def test_a_wait_that_is_cancelled_leaves_the_child_until_the_function_ends() -> None:
    """No process outlives that."""
    port = MemoryPort(Records())
    child = await JobContext(Records().order(), port).spawn(["sleep", "3600"])
    with anyio.move_on_after(0.01):
        await child.wait()
    assert child.returncode is None
    ended(port)
    assert child.returncode == -signal.SIGTERM


MANY = """
import os
from jobkeep.sdk import BlockingJobContext
from jobkeep.testing.memory import MemoryPort, Records

context = BlockingJobContext(Records().order(), MemoryPort(Records()))
context.spawn(["true"]).wait()
before = os.listdir("/proc/self/fd")
assert [context.spawn(["sh", "-c", f"exit {n}"]).wait() for n in range(20)] == list(range(20))
assert os.listdir("/proc/self/fd") == before
"""


def test_many_children_cost_nothing_once_they_have_ended() -> None:
    """No descriptor of them is kept; the process is their own, since others open and close descriptors, too."""
    subprocess.run([sys.executable, "-c", MANY], check=True)


async def test_nothing_is_started_for_a_job_that_is_to_stop_or_that_is_not_there() -> None:
    """The errors are Stopped, and those of subprocess."""
    port = MemoryPort(Records())
    context = JobContext(Records().order(), port)
    with pytest.raises(FileNotFoundError):
        await context.spawn(["/no/such/thing"])
    port.stop_reason = "cancelled"
    with pytest.raises(Stopped):
        await context.spawn(["true"])
    blocking = BlockingJobContext(Records().order(), port)
    with pytest.raises(Stopped):
        blocking.spawn(["true"])
