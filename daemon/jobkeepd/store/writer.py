"""Group commit: what arrives during one transaction goes into the next, all of it, in one thread hop.

No task stands between a change and its commit: the first change to arrive has the batch posted at the loop's next
turn, and the answer to a batch posts the next.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from jobkeepd.errors import StaleToken, StorageFailed, StorageFull, StoreError
from jobkeepd.store.changes import Change, MarkRunning, Note, SaveProgress
from jobkeepd.store.transactions import Committed, Transactions

_T = TypeVar("_T")
Told: TypeAlias = Callable[[Any], None]  # gets a result, or an exception
Batch: TypeAlias = list[tuple[Change, Told | None]]  # without one, nobody waits


async def connect(path: Path, *, readonly: bool = False) -> aiosqlite.Connection:
    mode = "ro" if readonly else "rw"
    return await aiosqlite.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, cached_statements=512
    )


async def in_thread(connection: aiosqlite.Connection, run: Callable[[sqlite3.Connection], _T]) -> _T:
    """`run` with the sqlite3 connection, in the thread that owns it.

    This and `post` are the private calls into aiosqlite: its public ones take a thread hop for each statement,
    which would be hundreds for one batch. pyproject.toml holds aiosqlite to a minor version.
    """
    result: _T = await connection._execute(run, connection._conn)  # type: ignore[no-untyped-call]
    return result


def post(connection: aiosqlite.Connection, run: Callable[[], object]) -> None:
    """`run` in the connection's thread, in turn. Nobody is told of its end: it has to tell of all, its errors too."""
    connection._tx.put_nowait((None, run))


class Writer:
    """Owns the changes that wait, and commits them, one batch at a time."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        transactions: Transactions,
        publish: Callable[[Committed], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._transactions = transactions
        self._on_failure = on_failure
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._pending: Batch = []
        self._busy = False  # a batch is on its way, or about to be
        self._idle: asyncio.Future[None] | None = None  # awaited by `stop`
        self._refusal: StoreError | None = None

    async def submit(self, change: Change) -> Any:
        """Cancelling the caller leaves the change where it is: it is committed, and nobody is told."""
        if self._refusal is not None:
            raise self._refusal
        future: asyncio.Future[Any] = self._loop.create_future()
        self._accept(change, partial(_resolve, future))
        return await future

    def post(self, change: Change, told: Told) -> None:
        """As `submit`, without a task."""
        if self._refusal is not None:
            told(self._refusal)
        else:
            self._accept(change, told)

    def send(self, change: Change) -> None:
        if self._refusal is None:
            self._accept(change, None)

    def _accept(self, change: Change, told: Told | None) -> None:
        self._pending.append((change, told))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._next)  # after all that this turn of the loop has to say

    async def stop(self) -> bool:
        """Commit what is waiting, accept nothing more; whether all went well."""
        broken = self._refusal is not None
        self._refusal = self._refusal or StoreError("the store is closed")
        if self._busy:
            self._idle = self._loop.create_future()
            await self._idle
        return not broken and not isinstance(self._refusal, StorageFailed)

    def _next(self) -> None:
        """Post what is waiting, if anything is."""
        batch, self._pending = self._pending, []
        self._busy = bool(batch)
        if batch:
            post(self._connection, lambda: self._commit(batch))
        elif self._idle is not None:
            self._idle.set_result(None)

    def _commit(self, batch: Batch) -> None:
        """In the connection's thread."""
        try:
            done = self._transactions.run([change for change, _ in batch])
        except BaseException as error:  # noqa: BLE001 - whatever it is, no transaction may follow it
            self._loop.call_soon_threadsafe(self._break, error, batch)
        else:
            self._loop.call_soon_threadsafe(self._answer, batch, done)

    def _break(self, error: BaseException, batch: Batch) -> None:
        try:
            self._fail(error, batch)
        finally:
            self._next()

    def _answer(self, batch: Batch, done: Committed) -> None:
        try:
            self._publish(done)
        except Exception as error:  # noqa: BLE001 - a listener that missed a commit is as bad as a failed one
            self._break(error, batch)
            return
        try:
            for (change, told), outcome in zip(batch, done.outcomes, strict=True):
                self._tell(change, told, outcome)
        finally:
            self._loop.call_soon(self._next)  # after those who were told: they may have more to ask

    def _tell(self, change: Change, told: Told | None, outcome: Any) -> None:
        if told is not None:
            try:
                told(outcome)
            except Exception as error:  # noqa: BLE001 - a bug there must not leave others without an answer
                self._on_failure(error)
        elif isinstance(outcome, Exception) and not _too_late(change, outcome):
            self._on_failure(outcome)

    def _fail(self, error: BaseException, batch: Batch) -> None:
        """Nothing is known of this batch, and after it nothing is accepted."""
        broken = StorageFailed(f"the store's writer broke: {error!r}")
        failure = error if isinstance(error, StorageFailed) else broken
        self._refusal = failure
        waiting, self._pending = [*batch, *self._pending], []
        for change, told in waiting:
            if told is not None:
                self._tell(change, told, failure)
        self._on_failure(failure)


def _resolve(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():  # a cancelled waiter has left
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _too_late(change: Change, error: Exception) -> bool:
    """Whether a sent change may be refused: its run is somebody else's by now, or the disk is full."""
    if isinstance(error, StorageFull):
        return isinstance(change, SaveProgress | Note)
    return isinstance(error, StaleToken) and isinstance(change, SaveProgress | MarkRunning)
