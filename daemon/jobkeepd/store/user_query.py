"""A user's own SQL: read-only, short of time and memory, blind to secrets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import islice
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
            found = list(islice(cursor, limit + 1))
            columns = [column[0] for column in cursor.description]
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if deadline.over:
            raise BadQuery("the query took too long") from error
        raise BadQuery(str(error)) from error
    finally:
        conn.set_progress_handler(None, 0)
    rows = [[_plain(value) for value in row] for row in found[:limit]]
    return Rows(columns, rows, truncated=len(found) > limit)


def _plain(value: Any) -> Any:
    """JSON has no bytes."""
    return value.hex() if isinstance(value, bytes) else value
