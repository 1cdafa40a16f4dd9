"""A read call (Jobs.Get of one job), by three clients, against a bare echo of the same messages."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import jobkeep
from bench.echoed import GET, LISTED, Echo, park
from bench.measure import INFORMATION, Bound, Sample
from bench.protocol_client import ProtocolClient
from bench.rig import Rig, hold_queue
from bench.wire import BareClient, decode, encode, timed
from jobkeep.protocol.jobs import JobParameters, JobReply

BURSTS = 6  # per side and round, in turns
BURST = 250  # calls


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
    """What `jobkeep show` asks, for a job that has left the daemon's memory: it is read from disk."""

    name = "rpc_show"
    what = "show of a job that is not in memory, daemon by a bare client / bare echo"
    bound = Bound(ratio_at_most=2)

    def prepare(self, rig: Rig) -> None:
        echo = Echo.of(rig)
        client = rig.fresh_daemon().client()
        hold_queue(client, rig.disk / "held-for-old-job")
        old, *_ = park(client, 3000)
        self._raw = echo.getter(BareClient(echo.typed))
        self._ours = lambda: decode(client.exchange(encode(GET, JobParameters(old))), JobReply)


class ListRead(DaemonRead):
    name = "rpc_ls"
    what = f"ls of {LISTED.limit} jobs, daemon by a bare client / bare echo of the same list"
    bound = Bound(ratio_at_most=2)

    def prepare(self, rig: Rig) -> None:
        echo = Echo.of(rig)
        self._raw = echo.lister(BareClient(echo.list))
        self._ours = echo.lister(echo.daemon.client())


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
