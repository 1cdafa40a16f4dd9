"""One transaction for many changes, each of which stands or falls alone. Runs in the writer's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, Job
from jobkeepd.errors import StorageFailed, StorageFull
from jobkeepd.store.ballast import Ballast
from jobkeepd.store.changes import Change, EndRun, MarkRunning, RevokeClaim, SaveCheckpoint
from jobkeepd.store.sql_ledger import SqlLedger
from jobkeepd.store.steps import perform

# What has happened to a run already must be recorded also on a full disk; a wish for more work need not.
FACTS: Final = (EndRun, SaveCheckpoint, MarkRunning, RevokeClaim)
_RESTORE_EVERY: Final = 200  # transactions between looks for room for the ballast

# Errors of one statement, its values or its constraints; all others of sqlite3 are the database's.
_OF_ONE_CHANGE: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


class Committed(Struct):
    """`outcomes` has one for each change: its result, or the exception that refused it."""

    outcomes: list[Any]
    entries: list[Entry] = []
    changed: dict[str, Job] = {}
    counts: Mapping[tuple[str, JobState], int] = {}  # differences


class _HalfDone(Exception):
    """A change was refused after it had written: the batch has to be done again with savepoints."""


class Transactions:
    def __init__(self, conn: sqlite3.Connection, ledger: SqlLedger, ballast: Ballast) -> None:
        self._conn = conn
        self._ledger = ledger
        self._ballast = ballast
        self._since_look = 0

    def run(self, changes: Sequence[Change]) -> Committed:
        """Commit all changes that are not refused. Raises StorageFailed: all outcomes are unknown."""
        try:
            done = self._optimistically(changes)
        except sqlite3.Error as error:
            self._rollback()
            if not _is_full(error):
                raise StorageFailed(f"the database cannot be written: {error}") from error
            return self._on_a_full_disk(changes, error)
        if not self._ballast.held:
            self._since_look += 1
            if self._since_look % _RESTORE_EVERY == 0:
                self._ballast.restore()
        return done

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
        execute("COMMIT" if ledger.writes or ledger.entries else "ROLLBACK")
        ledger.committed()
        return Committed(outcomes, ledger.entries, ledger.changed, ledger.counts)

    def _flush(self) -> None:
        try:
            self._ledger.flush()
        except Exception as error:
            if _is_of_the_database(error):
                raise
            raise _HalfDone from error

    def _one(self, change: Change) -> Any:
        writes, entries = self._ledger.writes, len(self._ledger.entries)
        try:
            return perform(change, self._ledger)
        except Exception as error:
            if _is_of_the_database(error):
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
            if _is_of_the_database(error):
                raise
            self._conn.execute("ROLLBACK TO one")
            self._ledger.restore(mark)
            outcome = error
        self._conn.execute("RELEASE one")
        return outcome

    def _on_a_full_disk(self, changes: Sequence[Change], error: sqlite3.Error) -> Committed:
        """Record the facts in the room that the ballast held; refuse everything else."""
        self._ballast.release()
        full = StorageFull("no space left on the device of the database")
        full.__cause__ = error
        outcomes: list[Any] = [full] * len(changes)
        facts = [index for index, change in enumerate(changes) if isinstance(change, FACTS)]
        if not facts:
            return Committed(outcomes)
        try:
            done = self._optimistically([changes[index] for index in facts])
        except sqlite3.Error as again:
            self._rollback()
            if not _is_full(again):
                raise StorageFailed(f"the database cannot be written: {again}") from again
            return Committed(outcomes)
        for index, outcome in zip(facts, done.outcomes, strict=True):
            outcomes[index] = outcome
        done.outcomes = outcomes
        return done

    def _rollback(self) -> None:
        if self._conn.in_transaction:  # a full disk may have rolled back already
            self._conn.execute("ROLLBACK")
        self._ledger.begin()


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _is_full(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_FULL


def _is_of_the_database(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and _code(error) not in _OF_ONE_CHANGE
