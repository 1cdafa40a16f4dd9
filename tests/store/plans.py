"""How SQLite carries out each statement that a store has executed, and which of them may walk a table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from jobkeepd.store.schema import MIGRATIONS

# What may walk or sort, by how the statement begins, and why that does not grow with the jobs.
ARGUED: Final = {
    "SELECT key, value FROM meta": "three rows",
    "SELECT count(*) FROM sqlite_schema": "one row for each table and index",
    "SELECT queue, state, owner, jobs FROM tally": "one row for each queue, state and user",
    "SELECT queue, at, clock, peak FROM line": "one row for each queue with turns",
    "SELECT data FROM schedule ORDER BY": "all schedules, which is what was asked for",
    "SELECT data ->> '$.terms.environment' FROM schedule": "all schedules, of which there are few",
    "SELECT data FROM queue_control ORDER BY": "one row for each queue that somebody has paused or limited",
    "SELECT seq, newest_at FROM job ORDER BY seq DESC LIMIT 1": "reads the end of the table, one row",
    "SELECT seq FROM job ORDER BY seq DESC LIMIT": "reads the end of the table, up to the limit",
    "SELECT seq FROM job INDEXED BY job_ended WHERE": "sorts what was created before and has ended since a given time",
    "SELECT job, runs FROM leftover ORDER BY job LIMIT": "reads in the order of the table, up to the limit",
    "SELECT parent, at FROM unsettled ORDER BY parent LIMIT 1": "reads the first row of the table",
    "WITH RECURSIVE": "walks its own rows, one for each queue or label",
}
_MIGRATED: Final = {statement for step in MIGRATIONS for statement in step}  # once in a database's life
_WALKS: Final = re.compile(r"SCAN (?!CONSTANT ROW|json_each VIRTUAL\b|lane\b|awaited\b|\()|USE TEMP B-TREE")
_PLANNED: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


class Recording(sqlite3.Connection):
    """Keeps each statement, as it stands in the code, with the values of its first use."""

    executed: dict[str, Any] = {}

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self.executed.setdefault(sql, values[0] if values else ())
        return super().execute(sql, *values)

    def executemany(self, sql: str, values: Any) -> sqlite3.Cursor:
        values = list(values)
        if values:
            self.executed.setdefault(sql, values[0])
        return super().executemany(sql, values)


@contextmanager
def recorded() -> Iterator[dict[str, Any]]:
    """What connections that are opened meanwhile execute, also after that."""
    connect = sqlite3.connect

    def connect_recording(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, **{"factory": Recording, **options})

    sqlite3.connect = connect_recording  # type: ignore[assignment]
    try:
        yield Recording.executed
    finally:
        sqlite3.connect = connect  # type: ignore[assignment]


def plan(conn: sqlite3.Connection, sql: str, values: Any) -> list[str]:
    return [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def objections(conn: sqlite3.Connection, sql: str, values: Any) -> list[str]:
    """The steps of its plan that walk or sort a table without an argument."""
    if sql in _MIGRATED or _PLANNED.match(sql) is None:
        return []
    steps = [step for step in plan(conn, sql, values) if _WALKS.match(step)]
    argued = any(" ".join(sql.split()).startswith(beginning) for beginning in ARGUED)
    return [] if argued else steps
