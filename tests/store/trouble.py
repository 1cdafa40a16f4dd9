"""Ways to hold the store's writer, and to break it."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from jobkeepd.store.sqlite import SqliteStore


def transactions_of(store: SqliteStore) -> Any:
    return store._writer._transactions


async def tidied(store: SqliteStore) -> None:
    """Once the writer's thread has nothing more to do."""
    await store._main._execute(lambda: None)  # type: ignore[no-untyped-call]


class Gate:
    """Holds the writer's thread at the next transaction until opened."""

    def __init__(self, store: SqliteStore) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.batches: list[int] = []
        transactions = transactions_of(store)
        run = transactions.run

        def held(changes: Any) -> Any:
            self.batches.append(len(changes))
            self.entered.set()
            assert self.opened.wait(60)
            return run(changes)

        transactions.run = held


class Failing:
    """A connection that fails at some statements. sqlite3.Connection cannot be patched itself."""

    def __init__(self, conn: sqlite3.Connection, at: str, error: sqlite3.Error) -> None:
        self._conn, self._at, self._error = conn, at, error
        self.failed = 0
        self._left: int | None = None  # how often it fails yet
        self.many: list[tuple[str, int]] = []
        self.seen: list[str] = []

    def heal(self) -> None:
        self._at = "nothing at all"

    def fail_only(self, times: int) -> None:
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def execute(self, sql: str, *values: Any) -> Any:
        self._look(sql)
        return self._conn.execute(sql, *values)

    def executemany(self, sql: str, values: Any) -> Any:
        self._look(sql)
        self.many.append((sql, len(values)))
        return self._conn.executemany(sql, values)

    def _look(self, sql: str) -> None:
        self.seen.append(sql)
        if sql.startswith(self._at) and self._left != 0:
            self.failed += 1
            self._left = None if self._left is None else self._left - 1
            raise self._error


def break_store(store: SqliteStore, at: str, message: str, code: int) -> Failing:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    transactions = transactions_of(store)
    broken = Failing(transactions._conn, at, error)
    transactions._conn = transactions._ledger._conn = transactions._wal._conn = broken
    return broken
