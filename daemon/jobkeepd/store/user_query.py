"""A user's own SQL: read-only, short of time and memory, blind to secrets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

from jobkeepd.errors import BadQuery
from jobkeepd.store.base import Rows

_HIDDEN_TABLES: Final = frozenset({"environment", "result", "request", "spec", "meta"})
_HIDDEN_COLUMNS: Final = frozenset(
    {("job", "run"), ("job", "spec"), ("run", "data"), ("checkpoint", "cursor"), ("checkpoint", "state")}
)
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_ALLOWED: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_LIMITS: Final = (
    (sqlite3.SQLITE_LIMIT_LENGTH, 4 << 20),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 64 << 10),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
)
_SIZE: Final = 6 << 20  # bytes of all rows, after which no more are told
_VALUE: Final = 16  # bytes that each value counts as, beside text
_STEPS: Final = 2000  # virtual machine instructions between looks at the time limit


class Deadline:
    """Set by the event loop, looked at by the query."""

    def __init__(self) -> None:
        self.over = False

    def pass_(self) -> None:
        self.over = True


def restrict(conn: sqlite3.Connection) -> None:
    for limit, value in _LIMITS:
        conn.setlimit(limit, value)
    conn.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, *_source: str | None) -> int:
    # Which view reads a column is no evidence: a user's own WITH may take the name of one.
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if second in _FORBIDDEN_FUNCTIONS else sqlite3.SQLITE_OK
    if action != sqlite3.SQLITE_READ:
        return sqlite3.SQLITE_DENY
    if first in _HIDDEN_TABLES:
        return sqlite3.SQLITE_DENY
    # a hidden column reads as NULL: SELECT * goes on working
    return sqlite3.SQLITE_IGNORE if (first, second) in _HIDDEN_COLUMNS else sqlite3.SQLITE_OK


def run(conn: sqlite3.Connection, query: str, limit: int, deadline: Deadline) -> Rows:
    conn.set_progress_handler(lambda: deadline.over, _STEPS)
    try:
        # a cursor left open would keep the WAL from being checkpointed
        with closing(conn.execute(query)) as cursor:
            if cursor.description is None:
                raise BadQuery("only a SELECT that returns columns can be asked here")
            found, truncated = _some(cursor, limit)
            columns = [column[0] for column in cursor.description]
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if deadline.over:
            raise BadQuery("the query took too long") from error
        raise BadQuery(str(error)) from error
    finally:
        conn.set_progress_handler(None, 0)
    return Rows(columns, [[_plain(value) for value in row] for row in found], truncated)


def _some(cursor: Iterable[tuple[Any, ...]], limit: int) -> tuple[list[tuple[Any, ...]], bool]:
    """As many rows as may be told, and whether there are more."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        if len(found) == limit or size > _SIZE:
            return found, True
        found.append(row)
        size += _VALUE * len(row) + sum(len(value) for value in row if isinstance(value, str | bytes))
    return found, False


def _plain(value: Any) -> Any:
    """JSON has no bytes."""
    return value.hex() if isinstance(value, bytes) else value
