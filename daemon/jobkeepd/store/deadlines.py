"""Deadlines of jobs that wait for their start, as rows."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from jobkeepd.core.model import Moment
from jobkeepd.core.patience import Deadline

# `monotonic` is dated in this boot once those of another one are redated, which is the first that a daemon does.
OVERDUE: Final = (
    "SELECT (SELECT id FROM job WHERE seq = job_seq) FROM deadline WHERE monotonic <= ? ORDER BY monotonic LIMIT ?"
)
NEXT: Final = "SELECT min(monotonic) FROM deadline"

REDATE: Final = (
    "UPDATE deadline SET boot = ?1, monotonic = ?2 + utc - ?3"
    " WHERE job_seq IN (SELECT job_seq FROM deadline WHERE boot < ?1 OR boot > ?1 LIMIT ?4)"
)

Statement = tuple[str, tuple[Any, ...]]


def of_job(conn: sqlite3.Connection, seq: int) -> Deadline | None:
    row = conn.execute("SELECT boot, monotonic, utc FROM deadline WHERE job_seq = ?", (seq,)).fetchone()
    return None if row is None else Deadline(Moment(row[0], row[1]), row[2])


def putting(seq: int, deadline: Deadline | None) -> Statement:
    if deadline is None:
        return "DELETE FROM deadline WHERE job_seq = ?", (seq,)
    values = (seq, deadline.until.boot_id, deadline.until.monotonic, deadline.utc)
    return "INSERT OR REPLACE INTO deadline (job_seq, boot, monotonic, utc) VALUES (?, ?, ?, ?)", values


def redating(now: Moment, at: float, limit: int) -> Statement:
    """See patience.redated."""
    return REDATE, (now.boot_id, now.monotonic, at, limit)


def overdue(conn: sqlite3.Connection, now: float, limit: int) -> list[str]:
    return [id for (id,) in conn.execute(OVERDUE, (now, limit)).fetchall()]


def earliest(conn: sqlite3.Connection) -> float | None:
    found: float | None = conn.execute(NEXT).fetchone()[0]
    return found
