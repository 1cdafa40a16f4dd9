"""Durable submits side by side and in bulk: 50 clients against a writer thread with group commit, 1,000 in one call."""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import threading
import time
from pathlib import Path

from bench.echoed import SUBMIT_MANY
from bench.measure import Bound, Sample
from bench.protocol_client import ProtocolClient
from bench.rig import PARKED, Rig, hold_queue
from bench.submit import BURSTS, INSERT, SECONDS, PlainCommits, rate
from jobkeep.protocol.jobs import JobSpec, SubmitManyParameters, SubmitManyReply, SubmitParameters, SubmitReply

CLIENTS = 50
ROWS = 1000
FILL = "x" * 150
SPEC = JobSpec(command=["/bin/sh", "-c", "exit 0"], queue=PARKED, cwd="/", env={"FILL": FILL})
Waiting = tuple["asyncio.Future[None]", tuple[str, bytes]]


class GroupWriter:
    """What waits becomes one transaction, in a thread; all are answered by one call into the loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._numbers = itertools.count()

    def rate(self) -> float:
        """Rows per second that 50 submitters get acknowledged."""
        return asyncio.run(self._round())

    async def _round(self) -> float:
        thread = threading.Thread(target=self._write, args=(asyncio.get_running_loop(),))
        thread.start()
        began = time.perf_counter()
        counts = await asyncio.gather(*(self._submitter(began + SECONDS) for _ in range(CLIENTS)))
        elapsed = time.perf_counter() - began
        self._waiting.put(None)
        thread.join()
        return sum(counts) / elapsed

    async def _submitter(self, until: float) -> int:
        loop = asyncio.get_running_loop()
        count = 0
        while time.perf_counter() < until:
            acknowledged = loop.create_future()
            self._waiting.put((acknowledged, (f"02J{next(self._numbers):023d}", b"x" * 200)))
            await acknowledged
            count += 1
        return count

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while not self._waiting.empty() and (more := self._waiting.get()) is not None:
                batch.append(more)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT, [row for _, row in batch])
            self._connection.execute("COMMIT")
            loop.call_soon_threadsafe(acknowledge, batch)


def acknowledge(batch: list[Waiting]) -> None:
    for future, _ in batch:
        future.set_result(None)


class SubmitClients:
    name = "submit_clients"
    what = f"durable submits of {CLIENTS} clients / of {CLIENTS} tasks to a writer thread with group commit"
    unit = "/s"
    bound = Bound(ratio_at_least=0.4)

    def prepare(self, rig: Rig) -> None:
        plain = plain_commits(rig.disk / self.name)
        plain.lengthen()
        self._writer = GroupWriter(plain.connection)
        daemon = rig.fresh_daemon()
        self._socket = daemon.socket
        hold_queue(daemon.client(), rig.disk / "held-for-clients")

    def round(self) -> Sample:
        raw, ours = [], []
        for _ in range(BURSTS):
            raw.append(self._writer.rate())
            ours.append(asyncio.run(self._ours()))
        return Sample(sorted(raw)[BURSTS // 2], sorted(ours)[BURSTS // 2])

    async def _ours(self) -> float:
        clients = [await ProtocolClient.connect(self._socket) for _ in range(CLIENTS)]
        began = time.perf_counter()
        counts = await asyncio.gather(*(self._submitter(client, began + SECONDS) for client in clients))
        elapsed = time.perf_counter() - began
        for client in clients:
            client.close()
        return sum(counts) / elapsed

    async def _submitter(self, client: ProtocolClient, until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            await client.call("org.jobkeep.Jobs.Submit", SubmitParameters(SPEC), SubmitReply)
            count += 1
        return count


class SubmitBulk:
    name = "submit_bulk"
    what = f"durable submit of {ROWS:,} jobs in one call / one transaction of {ROWS:,} rows"
    unit = "jobs/s"
    bound = Bound(ratio_at_least=0.5)

    def prepare(self, rig: Rig) -> None:
        self._plain = plain_commits(rig.disk / self.name)
        self._plain.lengthen()
        self._client = rig.fresh_daemon().client()
        hold_queue(self._client, rig.disk / "held-for-bulk")

    def round(self) -> Sample:
        asked = SubmitManyParameters(SPEC, [{}] * ROWS)
        raw, ours = [], []
        for _ in range(BURSTS):
            raw.append(ROWS * rate(lambda: self._plain.commit(ROWS)))
            ours.append(ROWS * rate(lambda: self._client.call(SUBMIT_MANY, asked, SubmitManyReply)))
        return Sample(sorted(raw)[BURSTS // 2], sorted(ours)[BURSTS // 2])


def plain_commits(folder: Path) -> PlainCommits:
    folder.mkdir()
    return PlainCommits(folder)
