"""How long things take on a real cluster, by the times on record. `-s` shows them.

What a busy host takes for its own part is not counted where somebody else can say when that was over: the death of a
worker is dated by the moment at which the scheduler has noticed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from distributed import Client

import jobkeep
from dask_bridge.clusters import lines, until
from dask_bridge.conftest import Site
from dask_bridge.test_faults import Batch

pytestmark = pytest.mark.long

TIMES = range(3)
LOST_S = 2.0  # after the death of the worker
CANCELLED_S = 1.0  # after the call
FORCED_S = 5.0  # after the grace
GRACE_S = 1.0


@pytest.fixture
def scheduler(site: Site) -> Iterator[Any]:
    with Client(site.lab.address, set_as_default=False) as client:
        yield client


def ended(job: jobkeep.BlockingJob, outcome: str) -> float:
    """When its only run did, as the daemon has it on record."""
    until(lambda: job.info().ended_at is not None)
    (run,) = job.info().runs
    assert run.outcome == outcome
    assert run.ended_at is not None
    return run.ended_at.timestamp()


def tell(what: str, seconds: float) -> None:
    print(f"\n{what} after {seconds:.2f} s; load {os.getloadavg()[0]:.1f}", end="")


@pytest.mark.parametrize("time_", TIMES)
def test_a_run_is_lost_on_record_within_two_seconds_of_the_death_of_its_worker(
    site: Site, scheduler: Any, time_: int
) -> None:
    """Counted from when the scheduler knows of it."""
    batch = Batch(site, on_lost="fail")
    worker = next(address for address, pid in scheduler.run(os.getpid).items() if pid == batch.pid)
    killed = time.time()
    os.kill(batch.pid, signal.SIGKILL)
    until(lambda: worker not in scheduler.nthreads())
    known = time.time()
    lost = ended(batch.job, "lost")
    tell(f"lost, which the scheduler knew {known - killed:.2f} s after the death,", lost - killed)
    assert lost - known < LOST_S


@pytest.mark.parametrize("time_", TIMES)
def test_a_function_that_listens_is_cancelled_within_a_second_of_the_call(site: Site, time_: int) -> None:
    """In the middle of an item."""
    batch = Batch(site)
    asked = time.time()
    batch.job.cancel()
    cancelled = ended(batch.job, "cancelled")
    tell("cancelled", cancelled - asked)
    assert cancelled - asked < CANCELLED_S


@pytest.mark.parametrize("time_", TIMES)
def test_a_function_that_does_not_listen_is_cancelled_within_its_grace_and_five_seconds(
    site: Site, time_: int
) -> None:
    """With its process, which is gone by then: the worker is another one."""
    log = site.log()
    job = site.call("tick", log=log, grace=GRACE_S)
    until(lambda: bool(lines(log)))
    pid = int(lines(log)[0])
    asked = time.time()
    job.cancel()
    cancelled = ended(job, "cancelled")
    assert not Path(f"/proc/{pid}").exists()
    tell(f"cancelled by force, with {GRACE_S:g} s of grace,", cancelled - asked)
    assert GRACE_S <= cancelled - asked < GRACE_S + FORCED_S
