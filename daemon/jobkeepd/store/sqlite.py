"""The store on SQLite: one connection writes, one reads, one runs users' queries, each in its own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Raw

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.metrics import Histogram
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.core.queueing import Control
from jobkeepd.core.retention import Ended
from jobkeepd.core.secrets import Kept
from jobkeepd.core.weight import HEAVIEST
from jobkeepd.errors import StorageFailed, StorageFull
from jobkeepd.store import deadlines, lists, opening, reads, trouble, user_query
from jobkeepd.store.ballast import Ballast
from jobkeepd.store.base import JobFilter, Rows
from jobkeepd.store.changes import Change
from jobkeepd.store.connections import Connections, connect_all
from jobkeepd.store.removal_changes import Leftover
from jobkeepd.store.room import is_out_of_room
from jobkeepd.store.schema import MIGRATIONS
from jobkeepd.store.snapshots import Snapshots
from jobkeepd.store.sql_ledger import SqlLedger
from jobkeepd.store.transactions import Committed, Transactions
from jobkeepd.store.wait_changes import SettleParents
from jobkeepd.store.wal import Wal
from jobkeepd.store.writer import Writer, in_thread, let_go

_T = TypeVar("_T")


class SqliteStore:
    """Implements base.Store. Make one with `open`, and `aclose` it."""

    def __init__(
        self,
        path: Path,
        opened: opening.Opened,
        connections: Connections,
        snapshots: Snapshots,
        transactions: Transactions,
        on_entries: Callable[[list[Entry]], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._path = path
        self._opened = opened
        self._main, self._reader, self._user = connections
        self._snapshots = snapshots
        self._on_entries = on_entries
        self._on_failure = on_failure
        self._writer = Writer(self._main, transactions, self._publish, on_failure)
        self._counts = Counter(opened.counts)
        self._last_seq = opened.next_entry - 1
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        on_entries: Callable[[list[Entry]], None],
        on_failure: Callable[[Exception], None],
        *,
        keep: int = 2000,
        migrations: Sequence[Sequence[str]] = MIGRATIONS,
        long_wal: bool = True,
    ) -> SqliteStore:
        """Open, and make or upgrade where needed. `keep`: how many ended or waiting jobs stay in memory.
        `long_wal`: extend the WAL first, for faster commits; it costs a write of 8 MiB.

        `on_entries` gets the journal entries of each commit, in the order of seq, before anybody is answered.
        `on_failure` gets the error after which the store accepts nothing more, and unexpected ones of `send`.
        Raises Corrupt, StorageFailed, StorageFull where neither ballast nor WAL make room for it.
        """
        ballast = Ballast(path.with_name("ballast"))
        opening.create_file(path)
        try:
            connections, opened = await connect_all(path, migrations)
        except StorageFull:
            ballast.release()  # there may be none, but closing has emptied the WAL
            connections, opened = await connect_all(path, migrations)
        snapshots = Snapshots(keep, last=opened.next_job - 1)
        snapshots.update(opened.active)
        transactions = await in_thread(connections[0], partial(_start, opened, snapshots, ballast, path))
        store = cls(path, opened, connections, snapshots, transactions, on_entries, on_failure)
        if opened.unsettled:
            store.send(SettleParents())
        if long_wal:
            store._writer.lengthen_wal()  # nobody has to wait for it
        return store

    def _publish(self, done: Committed) -> None:
        self._snapshots.update(done.changed.values(), done.removed)
        for (queue, state, _), difference in done.counts.items():
            self._counts[queue, state] += difference
        if done.entries:
            self._last_seq = done.entries[-1].seq
            self._on_entries(done.entries)

    @property
    def epoch(self) -> int:
        return self._opened.epoch

    @property
    def commit_seconds(self) -> Histogram:
        return self._writer.commit_seconds

    @property
    def is_full(self) -> bool:
        return self._writer.is_full

    @property
    def database_epoch(self) -> str:
        return self._opened.database_epoch

    async def apply(self, change: Change) -> Any:
        return await self._writer.submit(change)

    def post(self, change: Change, told: Callable[[Any], None]) -> None:
        self._writer.post(change, told)

    def send(self, change: Change) -> None:
        self._writer.send(change)

    def cached(self, id: str) -> Job | None:
        return self._snapshots.get(id)

    async def get(self, ref: str) -> Job:
        job = self._snapshots.get(ref)
        return job if job is not None else await self._read(reads.get, ref)

    async def get_all(self, refs: Sequence[str]) -> Sequence[Job]:
        known = {ref: self._snapshots.get(ref) for ref in refs}
        absent = [ref for ref, job in known.items() if job is None]
        if absent:
            known.update(zip(absent, await self._read(reads.get_all, absent), strict=True))
        return [job for ref in refs if (job := known[ref]) is not None]

    async def runs(self, job: str) -> list[Run]:
        return await self._read(reads.runs, job)

    async def queued(self, queue: str, limit: int, exclude: Sequence[str] = (), heaviest: int = HEAVIEST) -> list[Job]:
        return await self._read(reads.queued, queue, limit, exclude, heaviest)

    async def open_runs(self) -> list[Job]:
        return await self._read(reads.open_runs)

    async def open_seats(self) -> dict[str, str]:
        return await self._read(reads.open_seats)

    async def next_due(self) -> float | None:
        return await self._read(reads.next_due)

    async def overdue(self, now: float, limit: int) -> list[str]:
        return await self._read(deadlines.overdue, now, limit)

    async def next_overdue(self) -> float | None:
        return await self._read(deadlines.earliest)

    async def counts(self) -> dict[tuple[str, JobState], int]:
        return {lane: count for lane, count in self._counts.items() if count}

    async def checkpoint(self, job: str) -> SavedCheckpoint:
        return await self._read(reads.checkpoint, job)

    async def failed_items(self, job: str, after: int, limit: int) -> list[FailedItem]:
        return await self._read(reads.failed_items, job, after, limit)

    async def result(self, job: str) -> Raw | None:
        return await self._read(reads.result, job)

    async def steps(self, job: str) -> list[str]:
        return await self._read(reads.steps, job)

    async def step_result(self, job: str, ordinal: int) -> Raw | None:
        return await self._read(reads.step_result, job, ordinal)

    async def locks(self) -> list[Lock]:
        return await self._read(reads.locks)

    async def ahead(self, job: Job) -> int:
        return await self._read(reads.ahead, job)

    async def holder(self, key: str) -> Job | None:
        return await self._read(reads.holder, key)

    async def lock(self, name: str) -> Lock | None:
        return await self._read(reads.lock, name)

    async def open_parents(self, job: str, limit: int) -> tuple[int, list[Job]]:
        return await self._read(reads.open_parents, job, limit)

    async def waiting(self, lock: str) -> int:
        return await self._read(reads.waiting, lock)

    async def controls(self) -> Sequence[Control]:
        return await self._read(reads.controls)

    async def schedules(self) -> Sequence[Schedule]:
        return await self._read(reads.schedules)

    async def ended(self, queue: str, since: float, until: float, limit: int) -> Sequence[Ended]:
        return await self._read(reads.ended, queue, since, until, limit)

    async def first_event(self) -> int:
        return await self._read(reads.first_event)

    async def leftovers(self, limit: int) -> Sequence[Leftover]:
        return await self._read(reads.leftovers, limit)

    async def environments_of(self, behind: int, limit: int) -> tuple[set[str], int | None]:
        return await self._read(reads.environments_of, behind, limit)

    async def environment(self, hash: str) -> Kept:
        return await self._read(reads.environment, hash)

    async def history(self, job: str) -> list[Entry]:
        return await self._read(reads.history, job)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        return await self._read(reads.entries, after, limit)

    async def last_seq(self) -> int:
        return self._last_seq

    async def sql(self, query: str, limit: int, timeout: float) -> Rows:
        deadline = user_query.Deadline()
        alarm = asyncio.get_running_loop().call_later(timeout, deadline.pass_)
        try:
            return await in_thread(self._user, partial(user_query.run, query=query, limit=limit, deadline=deadline))
        finally:
            alarm.cancel()
            deadline.pass_()  # a caller who left waits for nothing more

    async def _read(self, query: Callable[..., _T], *arguments: Any) -> _T:
        try:
            return await in_thread(self._reader, lambda conn: query(conn, *arguments))
        except sqlite3.Error as error:
            if not trouble.is_damage(error):
                raise
            failure = StorageFailed(f"{self._path} cannot be read: {error}")
            self._on_failure(failure)
            raise failure from error

    async def aclose(self) -> None:
        """Commit what is waiting, note that the end was clean, close. Not to be interrupted. Raises StorageFailed."""
        if self._closed:
            return
        self._closed = True
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise

    async def _close(self) -> None:
        clean = await self._writer.stop()
        failure: StorageFailed | None = None
        try:
            if clean:
                await in_thread(self._main, opening.mark_clean)
        except sqlite3.Error as error:
            clean = False
            if not is_out_of_room(error, self._path):
                failure = StorageFailed(f"{self._path} cannot be closed: {error}")
        if not clean:
            await in_thread(self._main, partial(let_go, path=self._path))
        for connection in (self._user, self._reader, self._main):
            await connection.close()
        if failure is not None:
            raise failure

    async def list(self, where: JobFilter) -> list[Job]:
        if (found := self._snapshots.newest(where)) is not None:
            return found
        lanes = [lane for lane, count in self._counts.items() if count]
        return await self._read(lists.list_jobs, where, lanes, self._snapshots.by_seq)


def _start(
    opened: opening.Opened, snapshots: Snapshots, ballast: Ballast, path: Path, conn: sqlite3.Connection
) -> Transactions:
    ballast.restore()
    ledger = SqlLedger(conn, snapshots.get, opened)
    return Transactions(conn, ledger, ballast, Wal(conn, path))
