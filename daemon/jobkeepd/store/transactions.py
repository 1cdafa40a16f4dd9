"""One transaction for many changes, each of which stands or falls alone. Runs in the writer's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, Job
from jobkeepd.errors import StorageFailed, StorageFull
from jobkeepd.store.ballast import NEEDED, Ballast
from jobkeepd.store.changes import (
    Change,
    EndRun,
    FenceRun,
    MarkRunning,
    RequestStop,
    RevokeClaim,
    SaveCheckpoint,
    SaveStep,
    SubmitJobs,
)
from jobkeepd.store.lock_changes import ReleaseLock, RenewLocks
from jobkeepd.store.queue_changes import ControlQueue
from jobkeepd.store.removal_changes import (
    EraseRemoved,
    ForgetEnvironments,
    ForgetEvents,
    ForgetLeftovers,
    ForgetRequests,
    RemoveJobs,
)
from jobkeepd.store.room import is_out_of_room
from jobkeepd.store.sql_ledger import SqlLedger
from jobkeepd.store.steps import perform
from jobkeepd.store.trouble import is_failed_write, is_of_the_database
from jobkeepd.store.wait_changes import EndWait, RedateWaits, SettleParents
from jobkeepd.store.wal import Wal

# What has happened to a run already must be recorded also on a full disk, leases must last, and what fills it must be
# stopped and may be removed; a wish for more work can wait.
FACTS: Final = (
    EndRun, SaveCheckpoint, SaveStep, MarkRunning, RevokeClaim, FenceRun, ReleaseLock, RenewLocks, RequestStop,
    EndWait, RedateWaits, SettleParents, ControlQueue, RemoveJobs, ForgetEvents, ForgetRequests,
    ForgetLeftovers, EraseRemoved, ForgetEnvironments,
)  # fmt: skip


class Committed(Struct):
    """`outcomes` has one for each change: its result, or the exception that refused it."""

    outcomes: list[Any]
    entries: list[Entry] = []
    changed: dict[str, Job] = {}
    removed: set[str] = set()
    counts: Mapping[tuple[str, JobState, int], int] = {}  # differences, by queue, state and owner
    unsettled: bool = False  # there is more for SettleParents to do
    full: bool = False  # there was no room for all of it


class _HalfDone(Exception):
    """A change was refused after it had written: the batch has to be done again with savepoints."""


class Transactions:
    """After a StorageFailed it does nothing more: a second fsync may succeed although the first lost something."""

    def __init__(self, conn: sqlite3.Connection, ledger: SqlLedger, ballast: Ballast, wal: Wal) -> None:
        self._conn = conn
        self._ledger = ledger
        self._ballast = ballast
        self._wal = wal
        self._failure: StorageFailed | None = None
        self._doubtful = False  # the last write that failed may have had another cause than want of room

    def run(self, changes: Sequence[Change]) -> Committed:
        """Commit all changes that are not refused. Raises StorageFailed: all outcomes are unknown."""
        if self._failure is not None:
            raise self._failure
        self._ballast.restore()
        try:
            if not self._ballast.low:
                try:
                    return self._optimistically(changes)
                except sqlite3.Error as error:
                    self._make_room(error)
            return self._run_facts(changes)
        except sqlite3.Error as error:
            raise self._broken(error) from error

    @property
    def short_of_room(self) -> bool:
        return self._ballast.low

    def sees_room(self) -> bool:
        """Whether the next batch may find it; from any thread."""
        try:
            return self._ballast.would_fit()
        except OSError:
            return False

    def tidy(self) -> None:
        """Keep the ballast held and the WAL short; between two batches. Raises StorageFailed."""
        if self._failure is not None:
            return
        self._ballast.restore()
        if self._wal.outgrown:
            try:
                self._copy_wal()
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def prepare_wal(self) -> None:
        """Give it its length. Raises StorageFailed."""
        try:
            self._wal.extend()
        except StorageFailed as error:
            self._failure = error
            raise

    def _copy_wal(self) -> None:
        """From its beginning there is room in it, whatever becomes of the disk."""
        try:
            self._wal.copy()
        except sqlite3.Error as error:
            self._make_room(error)

    def _make_room(self, error: sqlite3.Error) -> None:
        """After an error that says that there is none; others are raised again."""
        if not self._is_out_of_room(error):
            raise error
        self._rollback()
        if self._ballast.release():
            self._copy_wal()  # at once: others take the room as well

    def _is_out_of_room(self, error: sqlite3.Error) -> bool:
        """Where there was none a moment ago, it may have come back between the write that failed and the look: believed
        once, as a broken disk fails the next one, too.
        """
        if is_out_of_room(error, self._wal.database):
            self._doubtful = False
            return True
        doubted, self._doubtful = self._doubtful, True
        return is_failed_write(error) and self._ballast.low and not doubted

    def _broken(self, error: sqlite3.Error) -> StorageFailed:
        self._failure = StorageFailed(f"the database cannot be written: {error}")
        return self._failure

    def _optimistically(self, changes: Sequence[Change]) -> Committed:
        try:
            return self._attempt(changes, savepoints=False)
        except _HalfDone:
            self._rollback()
            return self._attempt(changes, savepoints=True)

    def _attempt(self, changes: Sequence[Change], *, savepoints: bool) -> Committed:
        ledger, execute = self._ledger, self._conn.execute
        ledger.begin()
        execute("BEGIN IMMEDIATE")
        one = self._one_revocably if savepoints else self._one
        outcomes = [one(change) for change in changes]
        self._flush()
        ledger.keep_counts()
        settles = any(isinstance(change, SettleParents) for change in changes)
        unsettled = ledger.leaves_unsettled or (settles and ledger.unsettled() is not None)
        execute("COMMIT" if ledger.writes or ledger.entries else "ROLLBACK")
        self._doubtful = False
        ledger.committed()
        return Committed(outcomes, ledger.entries, ledger.changed, ledger.removed, ledger.counts, unsettled)

    def _flush(self) -> None:
        try:
            self._ledger.flush()
        except Exception as error:
            if is_of_the_database(error):
                raise
            raise _HalfDone from error

    def _one(self, change: Change) -> Any:
        writes, entries = self._ledger.writes, len(self._ledger.entries)
        try:
            return perform(change, self._ledger)
        except Exception as error:
            if is_of_the_database(error):
                raise
            if self._ledger.writes != writes or len(self._ledger.entries) != entries:
                raise _HalfDone from error
            return error

    def _one_revocably(self, change: Change) -> Any:
        mark = self._ledger.mark()
        self._conn.execute("SAVEPOINT one")
        try:
            outcome = perform(change, self._ledger)
            self._ledger.flush()
        except Exception as error:
            if is_of_the_database(error):
                raise
            self._conn.execute("ROLLBACK TO one")
            self._ledger.restore(mark)
            outcome = error
        self._conn.execute("RELEASE one")
        return outcome

    def _run_facts(self, changes: Sequence[Change]) -> Committed:
        """Record the facts in what room there is; refuse everything else, which would take it from them."""
        facts = [index for index, change in enumerate(changes) if isinstance(change, FACTS) or self._answered(change)]
        outcomes: list[Any] = [_full() for _ in changes]
        for _ in range(2 if facts else 0):
            try:
                done = self._optimistically([changes[index] for index in facts])
            except sqlite3.Error as error:
                self._make_room(error)
                self._copy_wal()
                continue
            for index, outcome in zip(facts, done.outcomes, strict=True):
                outcomes[index] = outcome
            done.outcomes, done.full = outcomes, len(facts) < len(changes)
            return done
        return Committed(outcomes, full=True)

    def _answered(self, change: Change) -> bool:
        """Whether it is a submit that was accepted before: to refuse it now would be a lie."""
        if not isinstance(change, SubmitJobs) or change.request is None:
            return False
        return self._ledger.answered(change.by.uid, change.request) is not None

    def _rollback(self) -> None:
        if self._conn.in_transaction:  # a full disk may have rolled back already
            self._conn.execute("ROLLBACK")
        self._ledger.begin()


def _full() -> StorageFull:
    room = f"jobs are taken again once {NEEDED >> 20} MiB are free"
    return StorageFull(f"no space left on the device of the database; {room}")
