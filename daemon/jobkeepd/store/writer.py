"""Group commit: what arrives during one transaction goes into the next, all of it, in one thread hop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from jobkeepd.errors import StaleToken, StorageFailed, StoreError
from jobkeepd.store.changes import Change, MarkRunning, SaveProgress
from jobkeepd.store.transactions import Committed, Transactions

_T = TypeVar("_T")
Batch: TypeAlias = list[tuple[Change, asyncio.Future[Any] | None]]  # without a future, nobody waits


async def connect(path: Path, *, readonly: bool = False) -> aiosqlite.Connection:
    mode = "ro" if readonly else "rw"
    return await aiosqlite.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, cached_statements=512
    )


async def in_thread(connection: aiosqlite.Connection, run: Callable[[sqlite3.Connection], _T]) -> _T:
    """`run` with the sqlite3 connection, in the thread that owns it.

    The one private call into aiosqlite: its public ones take a thread hop for each statement, which would be
    hundreds for one batch. pyproject.toml holds aiosqlite to a minor version.
    """
    result: _T = await connection._execute(run, connection._conn)  # type: ignore[no-untyped-call]
    return result


class Writer:
    """Owns the queue of changes and the one task that commits them."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        transactions: Transactions,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._transactions = transactions
        self._on_failure = on_failure
        self._publish: Callable[[Committed], None] = lambda done: None
        self._pending: Batch = []
        self._wake = asyncio.Event()
        self._refusal: StoreError | None = None
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self, publish: Callable[[Committed], None]) -> None:
        self._publish = publish
        self._task = asyncio.get_running_loop().create_task(self._write_forever(), name="store writer")

    async def submit(self, change: Change) -> Any:
        """Cancelling the caller leaves the change where it is: it is committed, and nobody is told."""
        if self._refusal is not None:
            raise self._refusal
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending.append((change, future))
        self._wake.set()
        return await future

    def send(self, change: Change) -> None:
        if self._refusal is None:
            self._pending.append((change, None))
            self._wake.set()

    async def stop(self) -> bool:
        """Commit what is waiting, accept nothing more; whether all went well."""
        broken = self._refusal is not None
        self._refusal = self._refusal or StoreError("the store is closed")
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        return not broken and not isinstance(self._refusal, StorageFailed)

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending, []
                await self._commit(batch)
            if self._closing:
                return

    async def _commit(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        changes = [change for change, _ in batch]

        def commit(_: sqlite3.Connection) -> None:
            done = self._transactions.run(changes)
            # straight from the thread: through this task, the answers would come a turn of the loop later
            loop.call_soon_threadsafe(self._answer, batch, done)

        try:
            await in_thread(self._connection, commit)
        except Exception as error:  # noqa: BLE001 - whatever it is, no transaction may follow it
            self._fail(error, batch)

    def _answer(self, batch: Batch, done: Committed) -> None:
        try:
            self._publish(done)
        except Exception as error:  # noqa: BLE001 - a listener that missed a commit is as bad as a failed one
            self._fail(error, batch)
            return
        for (change, future), outcome in zip(batch, done.outcomes, strict=True):
            if future is None:
                if isinstance(outcome, Exception) and not _too_late(change, outcome):
                    self._on_failure(outcome)
            elif not future.done():  # a cancelled waiter has left
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _fail(self, error: Exception, batch: Batch) -> None:
        """Nothing is known of this batch, and after it nothing is accepted."""
        broken = StorageFailed(f"the store's writer broke: {error!r}")
        failure = error if isinstance(error, StorageFailed) else broken
        self._refusal = failure
        waiting, self._pending = [*batch, *self._pending], []
        for _, future in waiting:
            if future is not None and not future.done():
                future.set_exception(failure)
        self._on_failure(failure)


def _too_late(change: Change, error: Exception) -> bool:
    """Whether it is no news that a sent change was refused: its run is somebody else's by now."""
    return isinstance(error, StaleToken) and isinstance(change, SaveProgress | MarkRunning)
