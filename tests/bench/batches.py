"""`for_each` over a million items: what the SDK costs, what durable checkpoints cost, and that memory stays flat."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import batch_jobs
from bench.commands import await_all
from bench.measure import Bound, Sample
from bench.rig import Rig
from bench.wire import BareClient
from jobkeep.protocol.jobs import JobParameters, JobSpec, ResultReply, SubmitParameters, SubmitReply
from jobkeep.sdk.blocking import BlockingJobContext
from jobkeep.sdk.context import JobContext
from jobkeep.testing.memory import MemoryPort, Records

ITEMS = 1_000_000
EVERY = 1000
SLOW_FSYNC = 1e-3  # seconds: from there on a checkpoint may cost twice as much


def elapsed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class NullStore:
    """Items per second, a coroutine for each, with checkpoints that go nowhere."""

    name = "for_each"
    what = "for_each over 1,000,000 no-op items, null store, async body / bare loop"
    unit = "/s"
    bound = Bound(ratio_at_least=0.25)

    def prepare(self, rig: Rig) -> None:
        """Nothing to start."""

    def round(self) -> Sample:
        return Sample(ITEMS / elapsed(self.bare), ITEMS / elapsed(self.ours))

    def bare(self) -> None:
        asyncio.run(batch_jobs.bare_async(ITEMS))

    def ours(self) -> None:
        records = Records()
        context = JobContext(records.order(every=EVERY), MemoryPort(records))
        asyncio.run(batch_jobs.no_ops_async(context, ITEMS))
        assert records.done == ITEMS


class NullStorePlain(NullStore):
    """The same for a plain function and a plain body."""

    name = "for_each_plain"
    what = "for_each over 1,000,000 no-op items, null store, plain body / bare loop"

    def bare(self) -> None:
        batch_jobs.bare(ITEMS)

    def ours(self) -> None:
        records = Records()
        context = BlockingJobContext(records.order(every=EVERY), MemoryPort(records))
        batch_jobs.no_ops(context, ITEMS)
        assert records.done == ITEMS


class Batches(NamedTuple):
    """Runs functions of bench.batch_jobs in a worker of a daemon."""

    client: BareClient
    socket: str
    folder: Path

    @classmethod
    def of(cls, rig: Rig) -> Batches:
        daemon = rig.daemon()
        return cls(daemon.client(), daemon.socket, rig.disk)

    def run(self, function: str, items: int) -> list[float]:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        spec = JobSpec(
            function=f"bench.batch_jobs:{function}", arguments={"items": items, "every": EVERY},
            python=sys.executable, cwd=str(self.folder), env={"PYTHONPATH": path},
        )  # fmt: skip
        job = self.client.call("org.jobkeep.Jobs.Submit", SubmitParameters(spec), SubmitReply).id
        await_all(self.socket, [job])
        reply = self.client.call("org.jobkeep.Jobs.Result", JobParameters(job), ResultReply)
        assert isinstance(reply.result, msgspec.Raw)
        return msgspec.json.decode(reply.result, type=list[float])


class Durable:
    """Both loops in one run of one worker; the checkpoints are commits of the daemon beside it."""

    name = "for_each_durable"
    what = "items of 20 µs through for_each with durable checkpoints, every=1000 / bare loop"
    unit = "s"
    bound = Bound(ratio_at_most=1.05)
    items = 100_000

    def prepare(self, rig: Rig) -> None:
        if fsync_seconds(rig.disk / "fsync") > SLOW_FSYNC:
            self.bound = Bound(ratio_at_most=1.10)
        self._batches = Batches.of(rig)

    def round(self) -> Sample:
        raw, ours = self._batches.run("durable", self.items)
        return Sample(raw, ours)


class FlatMemory:
    """Of the worker that runs it."""

    name = "for_each_memory"
    what = "resident memory of a worker after 1,000,000 no-op items / after 100,000"
    unit = "MiB"
    bound = Bound(ratio_at_most=1.02)

    def prepare(self, rig: Rig) -> None:
        self._batches = Batches.of(rig)

    def round(self) -> Sample:
        early, late = self._batches.run("memory", ITEMS)
        return Sample(early, late)


def fsync_seconds(path: Path) -> float:
    """The median of a few, on the disk that the daemon writes to."""
    with path.open("wb", buffering=0) as file:

        def once() -> None:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())

        return statistics.median(elapsed(once) for _ in range(50))
