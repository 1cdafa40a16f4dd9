"""Lists of jobs, newest first, a page at a time. No page costs more with a million jobs than with a thousand.

Waiting, open and ended jobs are each in an index of their own; where several hold what is asked for, their
ranges are merged as they are read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core.model import Job
from jobkeepd.store import reads
from jobkeepd.store.base import JobFilter
from jobkeepd.store.phases import ACTIVE, PHASES

Query = tuple[str, list[Any]]
Known = Callable[[int], Job | None]

_QUEUED: Final = "queue = ? AND state = 'queued' AND run_open = 0"
JOB_AT: Final = "SELECT seq, newest_at FROM job WHERE seq >= ? ORDER BY seq LIMIT 1"
# as it stands in the index
_ENDED: Final = "state IN ('succeeded', 'failed', 'cancelled')"
_LAST_SEQ: Final = "SELECT coalesce(max(seq), 0) FROM job"


def list_jobs(
    conn: sqlite3.Connection, where: JobFilter, lanes: Iterable[tuple[str, JobState]], known: Known
) -> list[Job]:
    """`lanes`: the (queue, state) pairs in which there are jobs. `known`: what is in memory of a job."""
    conn.execute("BEGIN")  # a job that changes its lane meanwhile must not be seen twice, or never
    try:
        seqs = list(islice(_seqs(conn, where, lanes), where.limit))
        found = []
        for some in range(0, len(seqs), 500):
            found += _jobs(conn, where, seqs[some : some + 500], known)
    finally:
        conn.execute("COMMIT")
    return sorted(found, key=lambda job: -job.seq)


def _jobs(conn: sqlite3.Connection, where: JobFilter, seqs: Sequence[int], known: Known) -> list[Job]:
    """The row of a job that is in memory need not be read, as long as its state is the one that was asked for."""
    found: list[Job] = []
    unknown: list[int] = []
    for seq in seqs:
        job = known(seq)
        if job is not None and (where.states is None or job.state in where.states):
            found.append(job)
        else:
            unknown.append(seq)
    if unknown:
        marks = ",".join("?" * len(unknown))
        found += reads.jobs(conn, f"{reads.JOBS} WHERE seq IN ({marks})", unknown)
    return found


def _seqs(conn: sqlite3.Connection, where: JobFilter, lanes: Iterable[tuple[str, JobState]]) -> Iterator[int]:
    first = 0 if where.since is None else first_since(conn, where.since)
    return merge(*(_run(conn, query) for query in queries(where, lanes, first)), reverse=True)


def queries(where: JobFilter, lanes: Iterable[tuple[str, JobState]], first: int) -> Iterator[Query]:
    """Which have nothing in common, each newest first. `first`: see first_since."""
    wanted = [
        lane
        for lane in lanes
        if (where.queue is None or lane[0] == where.queue) and (where.states is None or lane[1] in where.states)
    ]
    if where.labels:
        yield from _labelled(where, wanted, first)
    elif where.states is None and where.queue is None:
        yield _query(where, "job", *_in_time(where, first))
    else:
        for lane in wanted:
            yield from _in_lane(where, lane, first)
    if where.since is not None and any(state in ENDED_STATES for _, state in wanted):
        yield _ended_since(where, first)


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


def _query(where: JobFilter, table: str, conditions: Sequence[str], values: Sequence[Any], seq: str = "seq") -> Query:
    conditions, values = list(conditions), list(values)
    if where.before is not None:
        conditions.append(f"{seq} < ?")
        values.append(where.before)
    restriction = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"SELECT {seq} FROM {table} {restriction} ORDER BY {seq} DESC LIMIT ?"
    return sql, [*values, where.limit]


def _in_time(where: JobFilter, first: int) -> tuple[list[str], list[Any]]:
    """Created since then; who was created before and has ended since is found by `_ended_since`."""
    if where.since is None:
        return [], []
    return ["seq >= ?", "(+created_at >= ? OR +ended_at >= ?)"], [first, where.since, where.since]


def _labelled(where: JobFilter, wanted: Iterable[tuple[str, JobState]], first: int) -> Iterator[Query]:
    """Walk the first label's jobs, by where they are; the other labels are looked up for each."""
    (key, value), *others = where.labels
    lanes: dict[tuple[str, str], set[JobState]] = {}
    for queue, state in wanted:
        lanes.setdefault((queue, PHASES[state]), set()).add(state)
    for (queue, phase), states in lanes.items():
        if phase == ACTIVE and "queued" not in states:  # those that run are few, those that wait may be many
            conditions, values = _has(where.labels, "queue", "'active'")
            conditions = ["run_open = 1", "+queue = ?", *_in(states), *conditions]
            yield _query(where, "job INDEXED BY job_open", conditions, [queue, *states, *values])
            continue
        conditions, values = _has(others, "label.queue", "label.phase")
        conditions = ["label.key = ?", "label.value = ?", "label.queue = ?", "label.phase = ?", *conditions]
        values = [key, value, queue, phase, *values]
        table = "label"
        if where.since is not None or phase == ACTIVE:
            table = "label CROSS JOIN job ON seq = label.job_seq"
            time, since = _in_time(where, first)
            conditions += [each.replace("seq >=", "label.job_seq >=") for each in time]
            values += since
        if phase == ACTIVE:
            conditions += _in(states)
            values += states
        yield _query(where, table, conditions, values, "label.job_seq")


def _in(states: Collection[JobState]) -> list[str]:
    return [f"+state IN ({','.join('?' * len(states))})"]


def _has(labels: Iterable[tuple[str, str]], queue: str, phase: str) -> tuple[list[str], list[Any]]:
    """One step into the index for each."""
    conditions: list[str] = []
    values: list[Any] = []
    for label in labels:
        has = "SELECT 1 FROM label AS o WHERE o.key = ? AND o.value = ?"
        seq = "label.job_seq" if queue.startswith("label.") else "seq"
        conditions.append(f"EXISTS ({has} AND o.queue = {queue} AND o.phase = {phase} AND o.job_seq = {seq})")
        values += label
    return conditions, values


def _ended_since(where: JobFilter, first: int) -> Query:
    """Created before, and ended since then: as many as that are walked, and sorted."""
    assert where.since is not None
    conditions, values = _has(where.labels, "job.queue", "job.state")
    conditions, values = ["ended_at >= ?", "seq < ?", *conditions], [where.since, first, *values]
    if where.queue is not None:
        conditions.append("+queue = ?")
        values.append(where.queue)
    if where.states is not None:
        conditions += _in(where.states)
        values += where.states
    return _query(where, "job INDEXED BY job_ended", conditions, values)


def _in_lane(where: JobFilter, lane: tuple[str, JobState], first: int) -> Iterator[Query]:
    queue, state = lane
    time, since = _in_time(where, first)
    if state in ENDED_STATES:
        conditions = ["queue = ?", "state = ?", _ENDED, *time]
        yield _query(where, "job INDEXED BY job_ended_in", conditions, [queue, state, *since])
        return
    if state == "scheduled":
        conditions = ["queue = ?", "state = 'scheduled'", *time]
        yield _query(where, "job INDEXED BY job_scheduled", conditions, [queue, *since])
        return
    conditions = ["run_open = 1", "+queue = ?", "+state = ?", *time]
    yield _query(where, "job INDEXED BY job_open", conditions, [queue, state, *since])
    if state == "queued":
        yield _query(where, "job INDEXED BY job_queued", [_QUEUED, *time], [queue, *since])
