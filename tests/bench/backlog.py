"""A database with as many jobs as are wanted, made by the store's own steps, without a daemon."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.line import Rule
from jobkeepd.core.model import Job, Moment, Peer, RunRef
from jobkeepd.store import opening
from jobkeepd.store.ballast import Ballast
from jobkeepd.store.changes import Change, ClaimRun, EndRun, MarkRunning, NewJob, SubmitJobs
from jobkeepd.store.queue_changes import ControlQueue
from jobkeepd.store.snapshots import Snapshots
from jobkeepd.store.sql_ledger import SqlLedger
from jobkeepd.store.transactions import Transactions
from jobkeepd.store.wal import Wal

ME: Final = Peer(1000, 1000, 1)
RULES: Final = {"fair": Rule(fair="client")}
LIMITS: Final = {"account": 1}  # at most one job of each at once
CLIENTS: Final = 100
CHUNK: Final = 1000
# Of each hundred: most wait in one queue, others in one with turns, for the limit of a label, till a date; or are over.
_WAIT, _FAIR, _LIMITED, _DATED = 70, 80, 85, 90
STEP: Final = 60  # seconds between two copies
NOW: Final = time.time() - 70_000


class Backlog:
    """A store's writer, whose changes are done when the call returns."""

    def __init__(self, path: Path) -> None:
        opening.create_file(path)
        self.conn = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        opened = opening.prepare(self.conn, path)
        self.conn.execute("PRAGMA synchronous = 0")  # it may be made again
        ballast, snapshots = Ballast(path.with_name("ballast")), Snapshots(2000)
        ballast.restore()
        self._ledger = SqlLedger(self.conn, snapshots.get, opened)
        self._snapshots = snapshots
        self._transactions = Transactions(self.conn, self._ledger, ballast, Wal(self.conn, path))

    def apply(self, *changes: Change) -> list[Any]:
        done = self._transactions.run(changes)
        for outcome in done.outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        self._snapshots.update(done.changed.values())
        self._transactions.tidy()
        return done.outcomes

    def close(self) -> None:
        opening.mark_clean(self.conn)
        self.conn.close()


def id_of(number: int) -> str:
    """Spread over the alphabet, as drawn ones are, and the same each time."""
    scattered = (number * 2_654_435_761) % (1 << 32)
    return f"{scattered:08x}{number:08x}"


def spec_of(number: int) -> JobSpec:
    kind = number % 100
    labels = {"client": f"c{number % CLIENTS}", "tier": "gold" if number % 3 else "lead"}
    common: dict[str, Any] = {"command": ["true"], "name": f"import-{number % 1000}", "cwd": "/", "labels": labels}
    if kind < _WAIT:
        return JobSpec(queue="wide", priority=number % 5, **common)
    if kind < _FAIR:
        return JobSpec(queue="fair", **common)
    if kind < _LIMITED:
        common["labels"] = {**labels, "account": f"a{number % 7}"}
        return JobSpec(queue="limited", **common)
    if kind < _DATED:
        return JobSpec(queue="wide", delay_s=30_000_000.0, **common)
    return JobSpec(queue="done", **common)


def fill(path: Path, jobs: int) -> None:
    """The first by the store's own steps, the others as copies of them, each a minute later."""
    backlog = Backlog(path)
    first = min(jobs, CHUNK)
    new = tuple(NewJob(id_of(number), spec_of(number), None) for number in range(first))
    backlog.apply(SubmitJobs(jobs=new, by=ME, at=NOW, rules=RULES, limits=LIMITS))
    _end(backlog, [job.id for job in new if job.spec.queue == "done"], NOW)
    for queue in ("wide", "fair", "limited"):
        backlog.apply(ControlQueue(queue=queue, order="pause", by=ME, at=NOW, limit=None, reason=None))
    multiply(backlog.conn, jobs // first)
    backlog.close()


def multiply(conn: sqlite3.Connection, times: int) -> None:
    """As many jobs, rows of the journal and so on as if the same had been submitted again and again."""
    (jobs,) = conn.execute("SELECT max(seq) FROM job").fetchone()
    (entries,) = conn.execute("SELECT max(seq) FROM journal").fetchone()
    id = "printf('%08x', (({0} + n * {1}) * 2654435761) & 0xffffffff) || printf('%08x', {0} + n * {1})"
    dates = ("created_at", "newest_at", "line_at", "turn_at", "at", "due_at", "started_at", "ended_at")
    later = {name: f"{name} + n * {STEP}" for name in dates}
    moved = {
        "job": {
            **later, "seq": f"seq + n * {jobs}", "id": id.format("(seq - 1)", jobs),
            "last_entry": f"last_entry + n * {entries}",
        },
        "label": {"job_seq": f"job_seq + n * {jobs}"},
        "journal": {
            **later, "seq": f"seq + n * {entries}", "prev": f"iif(prev, prev + n * {entries}, 0)",
            "job": "(SELECT " + id.format("(j.seq - 1)", jobs) + " FROM job AS j WHERE j.id = journal.job)",
        },
    }  # fmt: skip
    conn.execute("BEGIN")
    for table, changed in moved.items():
        columns = [name for _, name, *_ in conn.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(name, name) for name in columns)
        order = "1" if table == "label" else "seq"
        conn.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" WITH RECURSIVE copy(n) AS (SELECT 1 WHERE ?1 > 1 UNION ALL SELECT n + 1 FROM copy WHERE n + 1 < ?1)"
            f" SELECT {values} FROM copy CROSS JOIN {table} ORDER BY n, {order}",
            (times,),
        )
    conn.execute("UPDATE tally SET jobs = jobs * ?", (times,))
    conn.execute("COMMIT")


def _end(backlog: Backlog, ids: list[str], at: float) -> None:
    claims = [ClaimRun(job=id, seat="s", epoch=1, cookie="c", at=at, now=Moment("boot", 1.0)) for id in ids]
    claimed: list[Job] = backlog.apply(*claims)
    backlog.apply(*(MarkRunning(run=job.ref, at=at) for job in claimed))
    backlog.apply(*(_ending(job.ref, number % 5 != 0, at) for number, job in enumerate(claimed)))


def _ending(run: RunRef, well: bool, at: float) -> EndRun:
    if well:
        return EndRun(run=run, outcome="succeeded", state="succeeded", at=at)
    return EndRun(run=run, outcome="failed", state="failed", at=at, reason="exit code 1")
