"""Queries of the reading connection. Each is a function of it, run in its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

from msgspec import Raw

from jobkeepd.core import secrets
from jobkeepd.core.explain import MOST_COUNTED
from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.core.queueing import Control
from jobkeepd.core.retention import Ended
from jobkeepd.core.secrets import Kept
from jobkeepd.core.weight import HEAVIEST, up_to
from jobkeepd.errors import AmbiguousJob, Corrupt, UnknownJob
from jobkeepd.store import lookups, rows
from jobkeepd.store.opening import OPEN_RUNS
from jobkeepd.store.removal_changes import Leftover

JOBS: Final = f"SELECT {rows.JOB_COLUMNS} FROM job"
JOB_BY_ID: Final = f"{JOBS} WHERE id = ?"
QUEUED: Final = (
    f"{JOBS} WHERE queue = ? AND state = 'queued' AND run_open = 0 AND blocked IS NULL"
    " ORDER BY turn_at, seq"
)
OPEN_SEATS: Final = "SELECT id, run_number, run_seat FROM job WHERE run_open = 1"
NEXT_DUE: Final = "SELECT min(due_at) FROM job WHERE state = 'scheduled'"
RUNS: Final = "SELECT data FROM run WHERE job_seq = ? ORDER BY number"
LAST_ENTRY: Final = "SELECT last_entry FROM job WHERE id = ?"
ENTRY: Final = f"SELECT {rows.ENTRY_COLUMNS}, prev FROM journal WHERE seq = ?"
ENTRIES: Final = f"SELECT {rows.ENTRY_COLUMNS} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
# What other queues have between these is passed over in the index.
ENDED: Final = (
    "SELECT id, ended_at, failed_items FROM job INDEXED BY job_ended WHERE ended_at >= ? AND ended_at < ? AND queue = ?"
    " ORDER BY ended_at LIMIT ?"  # and seq, as it is in the index
)
_READY: Final = "FROM job WHERE queue = ? AND state = 'queued' AND run_open = 0 AND blocked IS NULL"
AHEAD: Final = (
    f"SELECT (SELECT count(*) FROM (SELECT 1 {_READY} AND turn_at < ? LIMIT {MOST_COUNTED}))"
    f" + (SELECT count(*) FROM (SELECT 1 {_READY} AND turn_at = ? AND seq < ? LIMIT {MOST_COUNTED}))"
)
LOCKS: Final = "SELECT data FROM lock WHERE held = 1 ORDER BY name"
LOCK: Final = "SELECT data FROM lock WHERE name = ?"
OPEN_PARENTS: Final = "SELECT count(*) FROM dependency WHERE job_seq = ? AND open = 1"
SOME_PARENTS: Final = (
    f"{JOBS} WHERE id IN (SELECT parent FROM dependency WHERE job_seq = ? AND open = 1 ORDER BY parent LIMIT ?)"
)
ENVIRONMENTS_OF: Final = (  # as lifecycle.is_done_for_good has it
    "SELECT seq, CASE WHEN state = 'succeeded' AND failed_items = 0 THEN NULL ELSE environment END"
    " FROM job WHERE seq > ? ORDER BY seq LIMIT ?"
)
LEFTOVERS: Final = "SELECT job, runs FROM leftover ORDER BY job LIMIT ?"
WAITING: Final = (
    f"SELECT count(*) FROM (SELECT 1 FROM job WHERE blocked = 'lock' AND lock = ? LIMIT {MOST_COUNTED})"
)
FAILED_ITEMS: Final = (
    f"SELECT {rows.ITEM_COLUMNS} FROM failed_item WHERE job_seq = ? ORDER BY batch, ordinal, key LIMIT ? OFFSET ?"
)


def get(conn: sqlite3.Connection, ref: str) -> Job:
    row = conn.execute(JOB_BY_ID, (ref,)).fetchone()
    if row is None:
        matches = tuple(id for (id,) in conn.execute(lookups.IDS_BY_PREFIX, (ref, ref)).fetchall())
        if not matches:
            raise UnknownJob(ref)
        if len(matches) > 1:
            raise AmbiguousJob(ref, matches[:10])
        row = conn.execute(JOB_BY_ID, matches).fetchone()
    return rows.job_from_row(row)


def get_all(conn: sqlite3.Connection, refs: Sequence[str]) -> list[Job]:
    return [get(conn, ref) for ref in refs]


def jobs(conn: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> list[Job]:
    return list(rows.readable(conn.execute(sql, values).fetchall()))


def queued(
    conn: sqlite3.Connection, queue: str, limit: int, exclude: Sequence[str], heaviest: int = HEAVIEST
) -> list[Job]:
    """Row by row: all of them together may be large, and who gets fewer than `limit` takes them for all."""
    left_out = set(exclude)
    with closing(conn.execute(QUEUED, (queue,))) as found:
        rest = (row for row in found if row[1] not in left_out)
        return up_to(heaviest, islice(rows.readable(rest), limit))


def open_runs(conn: sqlite3.Connection) -> list[Job]:
    return jobs(conn, OPEN_RUNS)


def open_seats(conn: sqlite3.Connection) -> dict[str, str]:
    return {f"{id}.{number}": seat for id, number, seat in conn.execute(OPEN_SEATS)}


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
    row = conn.execute("SELECT seq, cursor, state FROM checkpoint WHERE job_seq = ?", (_seq(conn, id),)).fetchone()
    return SavedCheckpoint() if row is None else SavedCheckpoint(row[0], Raw(row[1]), Raw(row[2]))


def failed_items(conn: sqlite3.Connection, id: str, after: int, limit: int) -> list[FailedItem]:
    found = conn.execute(FAILED_ITEMS, (_seq(conn, id), limit, after)).fetchall()
    return [rows.item_from_row(row) for row in found]


def steps(conn: sqlite3.Connection, id: str) -> list[str]:
    found = conn.execute("SELECT name FROM step WHERE job_seq = ? ORDER BY ordinal", (_seq(conn, id),))
    return [name for (name,) in found.fetchall()]


def step_result(conn: sqlite3.Connection, id: str, ordinal: int) -> Raw | None:
    values = (_seq(conn, id), ordinal)
    row = conn.execute("SELECT result FROM step WHERE job_seq = ? AND ordinal = ?", values).fetchone()
    return None if row is None else Raw(row[0])


def locks(conn: sqlite3.Connection) -> list[Lock]:
    return [rows.lock_from_text(data) for (data,) in conn.execute(LOCKS).fetchall()]


def ahead(conn: sqlite3.Connection, job: Job) -> int:
    values = (job.spec.queue, job.turn_at, job.spec.queue, job.turn_at, job.seq)
    return min(int(conn.execute(AHEAD, values).fetchone()[0]), MOST_COUNTED)


def holder(conn: sqlite3.Connection, key: str) -> Job | None:
    found = jobs(conn, f"{JOBS} WHERE id = ({lookups.KEY_HOLDER})", (key, 0))
    return found[0] if found else None


def lock(conn: sqlite3.Connection, name: str) -> Lock | None:
    row = conn.execute(LOCK, (name,)).fetchone()
    return None if row is None else rows.lock_from_text(row[0])


def schedules(conn: sqlite3.Connection) -> list[Schedule]:
    found = conn.execute("SELECT data FROM schedule ORDER BY name").fetchall()
    return [rows.schedule_from_text(data) for (data,) in found]


def controls(conn: sqlite3.Connection) -> list[Control]:
    found = conn.execute("SELECT data FROM queue_control ORDER BY name").fetchall()
    return [rows.control_from_text(data) for (data,) in found]


def open_parents(conn: sqlite3.Connection, id: str, limit: int) -> tuple[int, list[Job]]:
    seq = _seq(conn, id)
    (count,) = conn.execute(OPEN_PARENTS, (seq,)).fetchone()
    return int(count), jobs(conn, SOME_PARENTS, (seq, limit))


def leftovers(conn: sqlite3.Connection, limit: int) -> list[Leftover]:
    return [Leftover(job, runs) for job, runs in conn.execute(LEFTOVERS, (limit,)).fetchall()]


def waiting(conn: sqlite3.Connection, lock: str) -> int:
    return int(conn.execute(WAITING, (lock,)).fetchone()[0])


def result(conn: sqlite3.Connection, id: str) -> Raw | None:
    row = conn.execute("SELECT data FROM result WHERE job_seq = ?", (_seq(conn, id),)).fetchone()
    return None if row is None else Raw(row[0])


def environments_of(conn: sqlite3.Connection, behind: int, limit: int) -> tuple[set[str], int | None]:
    found = conn.execute(ENVIRONMENTS_OF, (behind, limit)).fetchall()
    return {hash for _, hash in found if hash is not None}, found[-1][0] if found else None


def environment(conn: sqlite3.Connection, hash: str) -> Kept:
    row = conn.execute("SELECT data FROM environment WHERE hash = ?", (hash,)).fetchone()
    if row is None:
        raise Corrupt(f"environment {hash} is missing from the database")
    return secrets.decoded(row[0])


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


def ended(conn: sqlite3.Connection, queue: str, since: float, until: float, limit: int) -> list[Ended]:
    return [Ended(*row) for row in conn.execute(ENDED, (since, until, queue, limit)).fetchall()]


def first_event(conn: sqlite3.Connection) -> int:
    row = conn.execute(lookups.FORGOTTEN).fetchone()
    return 1 if row is None else int(row[0]) + 1


def entries(conn: sqlite3.Connection, after: int, limit: int) -> list[Entry]:
    return [rows.entry_from_row(row) for row in conn.execute(ENTRIES, (after, limit)).fetchall()]
