"""Group commit: what arrives during one transaction goes into the next, all of it, in one thread hop.

No task stands between a change and its commit: the first change to arrive has the batch posted at the loop's next
turn, and the answer to a batch posts the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import aiosqlite
import structlog

from jobkeepd.core.metrics import COMMIT_BOUNDS, Histogram
from jobkeepd.errors import StaleToken, StorageFailed, StorageFull, StoreError
from jobkeepd.store.changes import Change, EndRun, MarkRunning, Note, RevokeClaim, SaveProgress
from jobkeepd.store.transactions import Committed, Transactions
from jobkeepd.store.wait_changes import SettleParents

log = structlog.get_logger()

AGAIN_AFTER: Final = 1.0  # seconds, for what found no room
_UNDENIABLE: Final = (MarkRunning, EndRun, RevokeClaim, SettleParents)
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


def let_go(conn: sqlite3.Connection, path: Path) -> None:
    """Close after an error of the disk. The last connection to close would copy the WAL, and so write and sync again
    on a handle that has failed: another one that only reads is there then, and leaves all as it is.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(sqlite3.Error):
            witness = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            stack.callback(witness.close)
            witness.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        conn.close()


def post(connection: aiosqlite.Connection, run: Callable[[], object]) -> None:
    """`run` in the connection's thread, in turn. Nobody is told of its end: it has to tell of all, its errors too."""
    connection._tx.put_nowait((None, run))


class Writer:
    """Owns the changes that wait, and commits them, one batch at a time.

    Ends of runs and the like are never refused for want of room: they stay here, in their order, until they fit.
    """

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
        self._context = contextvars.copy_context()  # else who is told would be in none, and anyio knows no loop there
        self.commit_seconds = Histogram(COMMIT_BOUNDS)  # of batches, from their turn to being durable
        self._posted_at = 0.0
        self._pending: Batch = []
        self._busy = False  # a batch is on its way, or about to be
        self._idle: asyncio.Future[None] | None = None  # awaited by `stop`
        self._refusal: StoreError | None = None
        self._unfitting: Batch = []  # there was no room for these
        self._again: asyncio.TimerHandle | None = None
        self._due = False  # they are to be tried again, even if nothing else is
        self._full = False

    @property
    def is_full(self) -> bool:
        """As of the latest batch; room that was made since counts."""
        return self._full and not self._transactions.sees_room()

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

    def lengthen_wal(self) -> None:
        """Between two batches."""
        post(self._connection, lambda: self._care(self._transactions.prepare_wal))

    def _accept(self, change: Change, told: Told | None) -> None:
        self._pending.append((change, told))
        self._wake()

    def _wake(self) -> None:
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
        if self._again is not None:
            self._again.cancel()
        for change, told in self._unfitting:  # the next daemon finds out by itself
            self._tell(change, told, self._refusal)
        return not broken and not isinstance(self._refusal, StorageFailed)

    def _next(self) -> None:
        """Post what is waiting, if anything is."""
        batch, self._pending = self._pending, []
        if batch or self._due:
            batch, self._unfitting, self._due = [*self._unfitting, *batch], [], False
        self._busy = bool(batch)
        if batch:
            self._posted_at = self._loop.time()
            post(self._connection, lambda: self._commit(batch))
        elif self._idle is not None:
            self._idle.set_result(None)

    def _commit(self, batch: Batch) -> None:
        """In the connection's thread."""
        try:
            done = self._transactions.run([change for change, _ in batch])
        except BaseException as error:  # noqa: BLE001 - whatever it is, no transaction may follow it
            self._report(self._break, error, batch)
        else:
            self._report(self._answer, batch, done)
            self._care(self._transactions.tidy)

    def _care(self, chore: Callable[[], None]) -> None:
        """In the connection's thread: nobody waits for it, but its failure is everybody's."""
        try:
            chore()
        except BaseException as error:  # noqa: BLE001 - as above
            self._report(self._fail, error, [])

    def _report(self, call: Callable[..., None], *facts: Any) -> None:
        """From the connection's thread to the loop."""
        self._loop.call_soon_threadsafe(call, *facts, context=self._context)

    def _break(self, error: BaseException, batch: Batch) -> None:
        try:
            self._fail(error, batch)
        finally:
            self._next()

    def _answer(self, batch: Batch, done: Committed) -> None:
        self.commit_seconds.observe(self._loop.time() - self._posted_at)
        try:
            self._publish(done)
        except Exception as error:  # noqa: BLE001 - a listener that missed a commit is as bad as a failed one
            self._break(error, batch)
            return
        try:
            for (change, told), outcome in zip(batch, done.outcomes, strict=True):
                if isinstance(outcome, StorageFull) and isinstance(change, _UNDENIABLE):
                    self._keep(change, told)
                else:
                    self._tell(change, told, outcome)
            self._notice(done.full)
            if done.unsettled:
                self.send(SettleParents())
        finally:
            self._loop.call_soon(self._next)  # after those who were told: they may have more to ask

    def _keep(self, change: Change, told: Told | None) -> None:
        self._unfitting.append((change, told))
        if self._again is None:
            self._again = self._loop.call_later(AGAIN_AFTER, self._try_again)

    def _try_again(self) -> None:
        self._again, self._due = None, True
        self._wake()

    def _notice(self, full: bool) -> None:
        """Say once that the disk is full, and once that it is no more."""
        if full and not self._full:
            self._full = True
            log.warning(
                "disk_full", hint="make room on the disk of the state directory; no new jobs are taken till then"
            )
        elif self._full and not self._transactions.short_of_room:
            self._full = False
            log.info("disk_has_room")

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
        first = not isinstance(self._refusal, StorageFailed)
        broken = StorageFailed(f"the store's writer broke: {error!r}")
        failure = error if isinstance(error, StorageFailed) else broken
        self._refusal = failure
        waiting, self._pending, self._unfitting = [*batch, *self._unfitting, *self._pending], [], []
        for change, told in waiting:
            if told is not None:
                self._tell(change, told, failure)
        if first:
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
