"""A read call (Jobs.Get of one job), by three clients, against a bare echo of the same messages."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import jobkeep
from bench.measure import INFORMATION, Bound, Sample
from bench.protocol_client import ProtocolClient
from bench.rig import PARKED, Rig, hold_queue
from bench.wire import BareClient, decode, encode, timed
from jobkeep.protocol.jobs import JobParameters, JobReply, JobSpec, SubmitManyParameters, SubmitManyReply

GET = "org.jobkeep.Jobs.Get"
BURSTS = 6  # per side and round, in turns
BURST = 250  # calls


class Echo:
    """The echo server and the job whose answer it repeats; one for all measures of a rig."""

    _made: tuple[Rig, Echo] | None = None

    @classmethod
    def of(cls, rig: Rig) -> Echo:
        if cls._made is None or cls._made[0] is not rig:
            cls._made = (rig, cls(rig))
        return cls._made[1]

    def __init__(self, rig: Rig) -> None:
        self.daemon = rig.fresh_daemon()  # of its own, so that no other measure pushes the job out of memory
        client = self.daemon.client()
        self.job = client.submit(JobSpec(command=["true"], name="read-me", cwd="/"))
        while client.call(GET, JobParameters(self.job), JobReply).job.ended_at is None:
            time.sleep(0.02)
        folder = rig.memory / "echo"
        folder.mkdir()
        (folder / "answer").write_bytes(client.exchange(encode(GET, JobParameters(self.job))))
        subprocess.Popen([sys.executable, "-m", "bench.echo", str(folder)])
        deadline = time.monotonic() + 15
        while not (folder / "ready").exists():
            if time.monotonic() > deadline:
                raise SystemExit("error: the echo server does not start")
            time.sleep(0.02)
        self.typed = str(folder / "typed")
        self.bytes = str(folder / "bytes")

    def getter(self, client: BareClient) -> Callable[[], object]:
        """One call as the least client makes it: encode, send, receive, decode."""
        return lambda: decode(client.exchange(encode(GET, JobParameters(self.job))), JobReply)


def in_turns(raw: Callable[[], list[float]], ours: Callable[[], list[float]]) -> Sample:
    """Medians of both sides, measured in short bursts one after the other."""
    sides: tuple[list[float], list[float]] = ([], [])
    for _ in range(BURSTS):
        sides[0].extend(raw())
        sides[1].extend(ours())
    return Sample(statistics.median(sides[0]), statistics.median(sides[1]))


class DaemonRead:
    name = "rpc_daemon"
    what = "read call, daemon by a bare client / bare echo"
    unit = "µs"
    bound = Bound(ratio_at_most=1.3)

    def prepare(self, rig: Rig) -> None:
        echo = Echo.of(rig)
        self._raw = echo.getter(BareClient(echo.typed))
        self._ours = echo.getter(echo.daemon.client())

    def round(self) -> Sample:
        return in_turns(lambda: timed(self._raw, BURST), lambda: timed(self._ours, BURST))


class BytesRead(DaemonRead):
    """The same against an echo that does not decode anything: how far typed messages are from the kernel."""

    name = "rpc_daemon_vs_bytes"
    what = "read call, daemon by a bare client / echo of constant bytes"
    bound = INFORMATION

    def prepare(self, rig: Rig) -> None:
        echo = Echo.of(rig)
        self._raw = echo.getter(BareClient(echo.bytes))
        self._ours = echo.getter(echo.daemon.client())


class OldJobRead(DaemonRead):
    """A job that has left the daemon's memory: what reading it from disk costs."""

    name = "rpc_old_job"
    what = "read call for a job that is not in memory, daemon by a bare client / bare echo"
    bound = INFORMATION

    def prepare(self, rig: Rig) -> None:
        echo = Echo.of(rig)
        client = rig.fresh_daemon().client()
        hold_queue(client, rig.disk / "held-for-old-job")
        template = JobSpec(command=["true"], queue=PARKED, cwd="/")
        parameters = SubmitManyParameters(template, [{}] * 1000)
        old, *_ = client.call("org.jobkeep.Jobs.SubmitMany", parameters, SubmitManyReply).ids
        for _ in range(2):
            client.call("org.jobkeep.Jobs.SubmitMany", parameters, SubmitManyReply)
        self._raw = echo.getter(BareClient(echo.typed))
        self._ours = lambda: decode(client.exchange(encode(GET, JobParameters(old))), JobReply)


class BlockingRead(DaemonRead):
    name = "rpc_blocking"
    what = "read call, our blocking client / bare echo by a bare client"
    bound = Bound(ratio_at_most=1.3)

    def prepare(self, rig: Rig) -> None:
        echo = Echo.of(rig)
        self._raw = echo.getter(BareClient(echo.typed))
        self._ours = jobkeep.connect_blocking(echo.daemon.socket, autostart=False).job(echo.job).info


class AsyncioRead:
    """Through our asyncio client, against the least client on the same event loop.

    The loop's own price is on both sides: epoll and two turns cost more than the whole call of a blocking client.
    """

    name = "rpc_asyncio"
    what = "read call, our asyncio client / bare echo by an asyncio.Protocol client"
    unit = "µs"
    bound = Bound(ratio_at_most=1.6)

    def prepare(self, rig: Rig) -> None:
        self._echo = Echo.of(rig)

    def round(self) -> Sample:
        return asyncio.run(self._round())

    async def _round(self) -> Sample:
        sides: tuple[list[float], list[float]] = ([], [])
        async with jobkeep.connect(self._echo.daemon.socket, autostart=False) as client:
            bare = await ProtocolClient.connect(self._echo.typed)
            job = client.job(self._echo.job)
            for _ in range(BURSTS):
                sides[0].extend(await timed_async(lambda: bare.get(self._echo.job), BURST))
                sides[1].extend(await timed_async(job.info, BURST))
            bare.close()
        return Sample(statistics.median(sides[0]), statistics.median(sides[1]))


class AsyncioReadVsBlocking(AsyncioRead):
    """The same against a blocking bare client: what choosing an event loop costs a caller that makes one call."""

    name = "rpc_asyncio_vs_blocking"
    what = "read call, our asyncio client / bare echo by a blocking bare client"
    bound = INFORMATION

    async def _round(self) -> Sample:
        sides: tuple[list[float], list[float]] = ([], [])
        raw = self._echo.getter(BareClient(self._echo.typed))
        async with jobkeep.connect(self._echo.daemon.socket, autostart=False) as client:
            job = client.job(self._echo.job)
            for _ in range(BURSTS):
                sides[0].extend(timed(raw, BURST))
                sides[1].extend(await timed_async(job.info, BURST))
        return Sample(statistics.median(sides[0]), statistics.median(sides[1]))


async def timed_async(action: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """The latency of each call, in microseconds."""
    clock = time.perf_counter_ns
    latencies = []
    for _ in range(times):
        began = clock()
        await action()
        latencies.append((clock() - began) / 1e3)
    return latencies
