"""Queries of the reading connection. Each is a function of it, run in its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw, json

from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.errors import AmbiguousJob, Corrupt, UnknownJob
from jobkeepd.store import rows
from jobkeepd.store.opening import OPEN_RUNS

JOBS: Final = f"SELECT {rows.JOB_COLUMNS} FROM job"
JOB_BY_ID: Final = f"{JOBS} WHERE id = ?"
# '{' follows 'z': the end of the range of ids with this prefix
IDS_BY_PREFIX: Final = "SELECT id FROM job WHERE id >= ? AND id < ? || '{' ORDER BY id LIMIT 11"
QUEUED: Final = (
    f"{JOBS} WHERE queue = ? AND state = 'queued' AND run_open = 0 ORDER BY priority DESC, seq LIMIT ?"
)
NEXT_DUE: Final = "SELECT min(due_at) FROM job WHERE state = 'scheduled'"
RUNS: Final = "SELECT data FROM run WHERE job_seq = ? ORDER BY number"
LAST_ENTRY: Final = "SELECT last_entry FROM job WHERE id = ?"
ENTRY: Final = f"SELECT {rows.ENTRY_COLUMNS}, prev FROM journal WHERE seq = ?"
ENTRIES: Final = f"SELECT {rows.ENTRY_COLUMNS} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
FAILED_ITEMS: Final = (
    f"SELECT {rows.ITEM_COLUMNS} FROM failed_item WHERE job_seq = ?"
    " ORDER BY batch, ordinal, key LIMIT ? OFFSET ?"
)


def get(conn: sqlite3.Connection, ref: str) -> Job:
    row = conn.execute(JOB_BY_ID, (ref,)).fetchone()
    if row is None:
        matches = tuple(id for (id,) in conn.execute(IDS_BY_PREFIX, (ref, ref)).fetchall())
        if not matches:
            raise UnknownJob(ref)
        if len(matches) > 1:
            raise AmbiguousJob(ref, matches[:10])
        row = conn.execute(JOB_BY_ID, matches).fetchone()
    return rows.job_from_row(row)


def get_all(conn: sqlite3.Connection, refs: Sequence[str]) -> list[Job]:
    return [get(conn, ref) for ref in refs]


def jobs(conn: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> list[Job]:
    return [rows.job_from_row(row) for row in conn.execute(sql, values).fetchall()]


def queued(conn: sqlite3.Connection, queue: str, limit: int, exclude: Sequence[str]) -> list[Job]:
    left_out = set(exclude)
    found = jobs(conn, QUEUED, (queue, limit + len(left_out)))
    return [job for job in found if job.id not in left_out][:limit]


def open_runs(conn: sqlite3.Connection) -> list[Job]:
    return jobs(conn, OPEN_RUNS)


def next_due(conn: sqlite3.Connection) -> float | None:
    due: float | None = conn.execute(NEXT_DUE).fetchone()[0]
    return due


def _seq(conn: sqlite3.Connection, id: str) -> int:
    row = conn.execute("SELECT seq FROM job WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise UnknownJob(id)
    return int(row[0])


def runs(conn: sqlite3.Connection, id: str) -> list[Run]:
    conn.execute("BEGIN")  # both selects see one state
    try:
        row = conn.execute(JOB_BY_ID, (id,)).fetchone()
        if row is None:
            raise UnknownJob(id)
        job = rows.job_from_row(row)
        found = [rows.run_from_text(data) for (data,) in conn.execute(RUNS, (job.seq,)).fetchall()]
    finally:
        conn.execute("COMMIT")
    return [*found, job.run] if job.run is not None else found


def checkpoint(conn: sqlite3.Connection, id: str) -> SavedCheckpoint:
    row = conn.execute(
        "SELECT seq, cursor, state FROM checkpoint WHERE job_seq = ?", (_seq(conn, id),)
    ).fetchone()
    return SavedCheckpoint() if row is None else SavedCheckpoint(row[0], Raw(row[1]), Raw(row[2]))


def failed_items(conn: sqlite3.Connection, id: str, after: int, limit: int) -> list[FailedItem]:
    found = conn.execute(FAILED_ITEMS, (_seq(conn, id), limit, after)).fetchall()
    return [rows.item_from_row(row) for row in found]


def result(conn: sqlite3.Connection, id: str) -> Raw | None:
    row = conn.execute("SELECT data FROM result WHERE job_seq = ?", (_seq(conn, id),)).fetchone()
    return None if row is None else Raw(row[0])


def environment(conn: sqlite3.Connection, hash: str) -> dict[str, str]:
    row = conn.execute("SELECT data FROM environment WHERE hash = ?", (hash,)).fetchone()
    if row is None:
        raise Corrupt(f"environment {hash} is missing from the database")
    return json.decode(row[0], type=dict[str, str])


def history(conn: sqlite3.Connection, id: str) -> list[Entry]:
    row = conn.execute(LAST_ENTRY, (id,)).fetchone()
    if row is None:
        raise UnknownJob(id)
    (seq,) = row
    found = []
    while (row := conn.execute(ENTRY, (seq,)).fetchone()) is not None:  # the oldest may be gone already
        *columns, seq = row
        found.append(rows.entry_from_row(columns))
    return found[::-1]


def entries(conn: sqlite3.Connection, after: int, limit: int) -> list[Entry]:
    return [rows.entry_from_row(row) for row in conn.execute(ENTRIES, (after, limit)).fetchall()]
