"""Lists of jobs, newest first, a page at a time. No page costs more with a million jobs than with a thousand.

Waiting, open and ended jobs are each in an index of their own; where several hold what is asked for, their
ranges are merged as they are read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core.model import Job
from jobkeepd.store import reads
from jobkeepd.store.base import JobFilter

Query = tuple[str, list[Any]]

_WAITING: Final = "queue = ? AND state = 'queued' AND run_open = 0"
PRIORITY_BELOW: Final = (
    f"SELECT priority FROM job WHERE {_WAITING} AND priority < ? ORDER BY priority DESC LIMIT 1"
)
JOB_AT: Final = "SELECT seq, newest_at FROM job WHERE seq >= ? ORDER BY seq LIMIT 1"
# as it stands in the index
_ENDED: Final = "state IN ('succeeded', 'failed', 'cancelled')"
_LAST_SEQ: Final = "SELECT coalesce(max(seq), 0) FROM job"


def list_jobs(conn: sqlite3.Connection, where: JobFilter, lanes: Iterable[tuple[str, JobState]]) -> list[Job]:
    """`lanes`: the (queue, state) pairs in which there are jobs."""
    conn.execute("BEGIN")  # a job that changes its lane meanwhile must not be seen twice, or never
    try:
        seqs = list(islice(_seqs(conn, where, lanes), where.limit))
        found = []
        for some in range(0, len(seqs), 500):
            part = seqs[some : some + 500]
            marks = ",".join("?" * len(part))
            found += reads.jobs(conn, f"{reads.JOBS} WHERE seq IN ({marks})", part)
    finally:
        conn.execute("COMMIT")
    return sorted(found, key=lambda job: -job.seq)


def _seqs(
    conn: sqlite3.Connection, where: JobFilter, lanes: Iterable[tuple[str, JobState]]
) -> Iterator[int]:
    first = 0 if where.since is None else first_since(conn, where.since)
    if where.labels:
        return _run(conn, labelled(where))
    if where.states is not None or where.queue is not None:
        wanted = [
            lane
            for lane in lanes
            if (where.queue is None or lane[0] == where.queue)
            and (where.states is None or lane[1] in where.states)
        ]
        queries = [query for lane in wanted for query in in_lane(conn, where, lane, first)]
        return merge(*(_run(conn, query) for query in queries), reverse=True)
    return merge(*(_run(conn, query) for query in anywhere(where, first)), reverse=True)


def _run(conn: sqlite3.Connection, query: Query) -> Iterator[int]:
    sql, values = query
    for (seq,) in conn.execute(sql, values):
        yield seq


def first_since(conn: sqlite3.Connection, since: float) -> int:
    """A seq below which no job was created at or after `since`."""
    low, (high,) = 0, conn.execute(_LAST_SEQ).fetchone()
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = conn.execute(JOB_AT, (middle,)).fetchone()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = row[0] + 1
    return low


def _query(
    where: JobFilter, table: str, conditions: Sequence[str], values: Sequence[Any], seq: str = "seq"
) -> Query:
    conditions, values = list(conditions), list(values)
    if where.before is not None:
        conditions.append(f"{seq} < ?")
        values.append(where.before)
    restriction = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"SELECT seq FROM {table} {restriction} ORDER BY {seq} DESC LIMIT ?"
    return sql, [*values, where.limit]


def _in_time(where: JobFilter) -> tuple[list[str], list[Any]]:
    if where.since is None:
        return [], []
    return ["(+created_at >= ? OR +ended_at >= ?)"], [where.since, where.since]


def labelled(where: JobFilter) -> Query:
    """Walk the first label's jobs; the other labels and conditions are looked up for each."""
    (key, value), *others = where.labels
    conditions, values = _in_time(where)
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
    conditions = ["label.key = ?", "label.value = ?", *conditions]
    table = "label CROSS JOIN job ON seq = label.job_seq"
    return _query(where, table, conditions, [key, value, *values], "label.job_seq")


def in_lane(
    conn: sqlite3.Connection, where: JobFilter, lane: tuple[str, JobState], first: int
) -> Iterator[Query]:
    queue, state = lane
    if state in ENDED_STATES:
        conditions, values = _in_time(where)
        conditions = ["queue = ?", "state = ?", _ENDED, *conditions]
        yield _query(where, "job INDEXED BY job_ended_in", conditions, [queue, state, *values])
        return
    time: list[str] = []
    since: list[Any] = []
    if where.since is not None:  # a live job has no end: nothing below `first` is wanted
        time, since = ["seq >= ?", "+created_at >= ?"], [first, where.since]
    if state == "scheduled":
        conditions = ["queue = ?", "state = 'scheduled'", *time]
        yield _query(where, "job INDEXED BY job_scheduled", conditions, [queue, *since])
        return
    conditions = ["run_open = 1", "+queue = ?", "+state = ?", *time]
    yield _query(where, "job INDEXED BY job_open", conditions, [queue, state, *since])
    if state == "queued":
        for priority in _priorities(conn, queue):
            conditions = [_WAITING, "priority = ?", *time]
            yield _query(where, "job INDEXED BY job_dispatch", conditions, [queue, priority, *since])


def _priorities(conn: sqlite3.Connection, queue: str) -> Iterator[int]:
    """Of its waiting jobs: one step in the index for each."""
    priority = 1 << 62
    while (row := conn.execute(PRIORITY_BELOW, (queue, priority)).fetchone()) is not None:
        (priority,) = row
        yield priority


def anywhere(where: JobFilter, first: int) -> Iterator[Query]:
    """The jobs from `first` on are walked, those before it found by when they ended."""
    if where.since is None:
        yield _query(where, "job", [], [])
        return
    conditions, values = _in_time(where)
    yield _query(where, "job", ["seq >= ?", *conditions], [first, *values])
    yield _query(where, "job INDEXED BY job_ended", ["ended_at >= ?", "seq < ?"], [where.since, first])
