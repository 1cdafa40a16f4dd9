"""Read calls side by side: 100 in flight on one connection, and 50 clients with one each, against the bare echo.

The generator is the same on both sides, and is most of what the machine does: the rows differ by the server alone.
"""

from __future__ import annotations

import asyncio
import time

from bench.echoed import GET, Echo
from bench.measure import Bound, Sample
from bench.rig import Rig
from bench.wire import NUL, decode, encode
from jobkeep.protocol.jobs import JobParameters, JobReply

CALLS = 5000  # of one burst
BURSTS = 3  # per side and round, in turns


class Generator(asyncio.Protocol):
    """Keeps `window` calls in flight until `total` are answered; each call is encoded, each answer decoded."""

    def __init__(self, job: str, total: int, window: int) -> None:
        self._job = job
        self._unsent = total
        self._unanswered = total
        self._window = window
        self._rest = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def start(self) -> None:
        self._send(self._window)

    def data_received(self, data: bytes) -> None:
        *messages, self._rest = (self._rest + data if self._rest else data).split(NUL)
        for message in messages:
            decode(message, JobReply)
        self._unanswered -= len(messages)
        self._send(len(messages))
        if not self._unanswered:
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))

    def _send(self, count: int) -> None:
        count = min(count, self._unsent)
        self._unsent -= count
        if count:
            self.transport.write(b"".join(encode(GET, JobParameters(self._job)) for _ in range(count)))


async def rate(path: str, job: str, clients: int, window: int) -> float:
    """Calls per second."""
    loop = asyncio.get_running_loop()
    each = CALLS // clients
    generators: list[Generator] = []
    for _ in range(clients):
        _, generator = await loop.create_unix_connection(lambda: Generator(job, each, window), path)
        generators.append(generator)
    began = time.perf_counter()
    for generator in generators:
        generator.start()
    await asyncio.gather(*(generator.done for generator in generators))
    elapsed = time.perf_counter() - began
    for generator in generators:
        generator.transport.close()
    return each * clients / elapsed


class InFlight:
    name = "rpc_in_flight"
    what = "read calls, 100 in flight on one connection / bare echo"
    unit = "/s"
    bound = Bound(ratio_at_least=0.45)
    clients, window = 1, 100

    def prepare(self, rig: Rig) -> None:
        self._echo = Echo.of(rig)

    def round(self) -> Sample:
        raw, ours = [], []
        for _ in range(BURSTS):
            raw.append(self._rate(self._echo.typed))
            ours.append(self._rate(self._echo.daemon.socket))
        return Sample(sorted(raw)[BURSTS // 2], sorted(ours)[BURSTS // 2])

    def _rate(self, path: str) -> float:
        return asyncio.run(rate(path, self._echo.job, self.clients, self.window))


class Clients(InFlight):
    name = "rpc_clients"
    what = "read calls, 50 clients with one each / bare echo"
    bound = Bound(ratio_at_least=0.7)
    clients, window = 50, 1
