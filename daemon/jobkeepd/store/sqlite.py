"""The store on SQLite: one connection writes, one reads, one runs users' queries, each in its own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from msgspec import Raw

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.store import lists, opening, reads, user_query
from jobkeepd.store.ballast import Ballast
from jobkeepd.store.base import JobFilter, Rows
from jobkeepd.store.changes import Change
from jobkeepd.store.schema import MIGRATIONS
from jobkeepd.store.snapshots import Snapshots
from jobkeepd.store.sql_ledger import SqlLedger
from jobkeepd.store.transactions import Committed, Transactions
from jobkeepd.store.writer import Writer, connect, in_thread, post

_T = TypeVar("_T")


class SqliteStore:
    """Implements base.Store. Make one with `open`, and `aclose` it."""

    def __init__(
        self,
        opened: opening.Opened,
        connections: tuple[aiosqlite.Connection, aiosqlite.Connection, aiosqlite.Connection],
        snapshots: Snapshots,
        transactions: Transactions,
        on_entries: Callable[[list[Entry]], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._opened = opened
        self._main, self._reader, self._user = connections
        self._snapshots = snapshots
        self._on_entries = on_entries
        self._writer = Writer(self._main, transactions, self._publish, on_failure)
        self._counts = Counter(opened.counts)
        self._last_seq = opened.next_entry - 1

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
        Raises Corrupt, StorageFailed.
        """
        connections: list[aiosqlite.Connection] = []
        try:
            opening.create_file(path)
            connections.append(await connect(path))
            prepare = partial(opening.prepare, path=path, migrations=migrations)
            opened = await in_thread(connections[0], prepare)
            snapshots = Snapshots(keep)
            snapshots.update(opened.active)
            ballast = Ballast(path.with_name("ballast"))
            transactions = await in_thread(connections[0], partial(_start, opened, snapshots, ballast))
            for _ in range(2):
                connections.append(await connect(path, readonly=True))
                await in_thread(connections[-1], partial(opening.set_pragmas, pragmas=opening.READER_PRAGMAS))
            await in_thread(connections[2], user_query.restrict)
        except BaseException as error:
            for connection in connections:
                await connection.close()
            if isinstance(error, sqlite3.Error):
                raise opening.as_store_error(path, error) from error
            raise
        main, reader, user = connections
        if long_wal:
            post(main, partial(opening.extend_wal, path))  # nobody has to wait for it
        return cls(opened, (main, reader, user), snapshots, transactions, on_entries, on_failure)

    def _publish(self, done: Committed) -> None:
        self._snapshots.update(done.changed.values())
        for lane, difference in done.counts.items():
            self._counts[lane] += difference
        if done.entries:
            self._last_seq = done.entries[-1].seq
            self._on_entries(done.entries)

    @property
    def epoch(self) -> int:
        return self._opened.epoch

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

    async def queued(self, queue: str, limit: int, exclude: Sequence[str] = ()) -> list[Job]:
        return await self._read(reads.queued, queue, limit, exclude)

    async def open_runs(self) -> list[Job]:
        return await self._read(reads.open_runs)

    async def next_due(self) -> float | None:
        return await self._read(reads.next_due)

    async def counts(self) -> dict[tuple[str, JobState], int]:
        return {lane: count for lane, count in self._counts.items() if count}

    async def checkpoint(self, job: str) -> SavedCheckpoint:
        return await self._read(reads.checkpoint, job)

    async def failed_items(self, job: str, after: int, limit: int) -> list[FailedItem]:
        return await self._read(reads.failed_items, job, after, limit)

    async def result(self, job: str) -> Raw | None:
        return await self._read(reads.result, job)

    async def environment(self, hash: str) -> dict[str, str]:
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
            return await in_thread(
                self._user, partial(user_query.run, query=query, limit=limit, deadline=deadline)
            )
        finally:
            alarm.cancel()
            deadline.pass_()  # a caller who left waits for nothing more

    async def _read(self, query: Callable[..., _T], *arguments: Any) -> _T:
        return await in_thread(self._reader, lambda conn: query(conn, *arguments))

    async def aclose(self) -> None:
        """Commit what is waiting, note that the end was clean, close. Not to be interrupted."""
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise

    async def _close(self) -> None:
        clean = await self._writer.stop()
        for connection in (self._user, self._reader):
            await connection.close()
        if clean:
            await in_thread(self._main, opening.mark_clean)
        await self._main.close()

    async def list(self, where: JobFilter) -> list[Job]:
        lanes = [lane for lane, count in self._counts.items() if count]
        return await self._read(lists.list_jobs, where, lanes)


def _start(
    opened: opening.Opened, snapshots: Snapshots, ballast: Ballast, conn: sqlite3.Connection
) -> Transactions:
    ballast.restore()
    ledger = SqlLedger(conn, snapshots.get, opened)
    return Transactions(conn, ledger, ballast)
