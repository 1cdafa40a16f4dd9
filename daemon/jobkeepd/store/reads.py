"""Queries of the reading connection. Each is a function of it, run in its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

from msgspec import Raw, json

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.errors import AmbiguousJob, Corrupt, UnknownJob
from jobkeepd.store import rows
from jobkeepd.store.base import JobFilter
from jobkeepd.store.opening import OPEN_RUNS

_JOBS: Final = f"SELECT {rows.JOB_COLUMNS} FROM {rows.JOB_TABLES}"
JOB_BY_ID: Final = f"{_JOBS} WHERE id = ?"
# '{' follows 'z': the end of the range of ids with this prefix
IDS_BY_PREFIX: Final = "SELECT id FROM job WHERE id >= ? AND id < ? || '{' ORDER BY id LIMIT 11"
QUEUED: Final = (
    f"{_JOBS} WHERE queue = ? AND state = 'queued' AND run_open = 0 ORDER BY priority DESC, seq LIMIT ?"
)
NEXT_DUE: Final = "SELECT min(due_at) FROM job WHERE state = 'scheduled'"
RUNS: Final = "SELECT data FROM run WHERE job_seq = ? ORDER BY number"
HISTORY: Final = f"SELECT {rows.ENTRY_COLUMNS} FROM journal WHERE job_seq = ? ORDER BY seq"
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


def _jobs(conn: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> list[Job]:
    return [rows.job_from_row(row) for row in conn.execute(sql, values).fetchall()]


def list_jobs(conn: sqlite3.Connection, where: JobFilter, lanes: Iterable[tuple[str, JobState]]) -> list[Job]:
    """`lanes`: the (queue, state) pairs in which there are jobs, so that each is one range of an index."""
    seqs = list(islice(_seqs(conn, where, lanes), where.limit))
    found = []
    for some in range(0, len(seqs), 500):
        part = seqs[some : some + 500]
        marks = ",".join("?" * len(part))
        found += _jobs(conn, f"{_JOBS} WHERE seq IN ({marks})", part)
    return sorted(found, key=lambda job: -job.seq)


def _seqs(
    conn: sqlite3.Connection, where: JobFilter, lanes: Iterable[tuple[str, JobState]]
) -> Iterable[int]:
    conditions, values = _conditions(where)
    if where.labels:
        return _run(conn, *labelled(where, conditions, values))
    if where.states is not None or where.queue is not None:
        wanted = [
            lane
            for lane in sorted(lanes)
            if (where.queue is None or lane[0] == where.queue)
            and (where.states is None or lane[1] in where.states)
        ]
        ranges = [_run(conn, *in_lane(where, lane, conditions, values)) for lane in wanted]
        return merge(*ranges, reverse=True)
    if where.since is not None:
        return _run(conn, *recent(where))
    sql = f"SELECT seq FROM job {_and(conditions)} ORDER BY seq DESC LIMIT ?"
    return _run(conn, sql, [*values, where.limit])


def _run(conn: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[int]:
    return [seq for (seq,) in conn.execute(sql, values).fetchall()]


def _and(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _conditions(where: JobFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    if where.before is not None:
        conditions.append("job.seq < ?")
        values.append(where.before)
    if where.since is not None:
        conditions.append("(+created_at >= ? OR +ended_at >= ?)")
        values += [where.since, where.since]
    return conditions, values


def labelled(where: JobFilter, conditions: list[str], values: list[Any]) -> tuple[str, list[Any]]:
    """Walk the first label's jobs; the other labels and conditions are looked up for each."""
    (key, value), *others = where.labels
    conditions = ["label.key = ?", "label.value = ?", *conditions]
    values = [key, value, *values]
    if where.before is not None:
        conditions.append("label.job_seq < ?")
        values.append(where.before)
    for other in others:
        has = "SELECT 1 FROM label AS o WHERE o.key = ? AND o.value = ? AND o.job_seq = seq"
        conditions.append(f"EXISTS ({has})")
        values += other
    if where.queue is not None:
        conditions.append("+queue = ?")
        values.append(where.queue)
    if where.states is not None:
        conditions.append(f"+state IN ({','.join('?' * len(where.states))})")
        values += where.states
    sql = f"SELECT seq FROM label CROSS JOIN job ON seq = label.job_seq {_and(conditions)}"
    return f"{sql} ORDER BY label.job_seq DESC LIMIT ?", [*values, where.limit]


def in_lane(
    where: JobFilter, lane: tuple[str, JobState], conditions: list[str], values: list[Any]
) -> tuple[str, list[Any]]:
    conditions = ["queue = ?", "state = ?", *conditions]
    sql = f"SELECT seq FROM job INDEXED BY job_by_state {_and(conditions)} ORDER BY seq DESC LIMIT ?"
    return sql, [*lane, *values, where.limit]


def recent(where: JobFilter) -> tuple[str, list[Any]]:
    """Jobs by two indexes of time: what was created or what ended since."""
    both = "SELECT seq FROM job WHERE created_at >= ? UNION SELECT seq FROM job WHERE ended_at >= ?"
    values: list[Any] = [where.since, where.since]
    before = ""
    if where.before is not None:
        before = "WHERE seq < ?"
        values.append(where.before)
    return f"SELECT seq FROM ({both}) {before} ORDER BY seq DESC LIMIT ?", [*values, where.limit]


def queued(conn: sqlite3.Connection, queue: str, limit: int, exclude: Sequence[str]) -> list[Job]:
    left_out = set(exclude)
    found = _jobs(conn, QUEUED, (queue, limit + len(left_out)))
    return [job for job in found if job.id not in left_out][:limit]


def open_runs(conn: sqlite3.Connection) -> list[Job]:
    return _jobs(conn, OPEN_RUNS)


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
    return [rows.entry_from_row(row) for row in conn.execute(HISTORY, (_seq(conn, id),)).fetchall()]


def entries(conn: sqlite3.Connection, after: int, limit: int) -> list[Entry]:
    return [rows.entry_from_row(row) for row in conn.execute(ENTRIES, (after, limit)).fetchall()]
