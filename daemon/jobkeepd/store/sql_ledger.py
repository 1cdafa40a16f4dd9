"""The ledger of one SQLite transaction. It runs in the thread of the connection that writes."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Raw, Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.label_limits import tags
from jobkeepd.core.lifecycle import WAITING
from jobkeepd.core.model import Entry, Job, Peer
from jobkeepd.errors import StaleToken, UnknownJob
from jobkeepd.store import lookups, phases, rows
from jobkeepd.store.inserts import Noted, insert_entries, insert_jobs
from jobkeepd.store.opening import Opened
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.store.sql_leavings import SqlLeavings
from jobkeepd.store.sql_lines import SqlLines
from jobkeepd.store.sql_parents import SqlParents
from jobkeepd.store.sql_tables import SqlTables
from jobkeepd.store.updates import update

Counts: TypeAlias = defaultdict[tuple[str, JobState, int], int]  # differences, by queue, state and owner


class Mark(Struct, frozen=True):
    """What a savepoint has to restore of the ledger's memory."""

    entries: int
    changed: dict[str, Job]
    removed: set[str]
    counts: Counts
    next_job: int
    runs: Counter[str]


class SqlLedger(SqlTables, SqlLeavings, SqlLines, SqlParents):
    """`known` answers from memory, as of the last commit. `writes` tells whether a step has written.

    Jobs and journal are written by `flush`: each job that changed once, however many steps it took, and all
    that is of one kind by one statement. Other tables are written at once.
    """

    def __init__(self, conn: sqlite3.Connection, known: Callable[[str], Job | None], opened: Opened) -> None:
        self._conn = conn
        self._known = known
        self._next_job = self._committed_job = opened.next_job
        self._next_entry = opened.next_entry
        self._newest_at = opened.newest_at
        self._lines, self._awaited = dict(opened.lines), set(opened.awaited)
        self._unawaited: set[str] = set()
        self._runs: Counter[str] = Counter()  # open ones by label, as of the last commit
        self._waiting = Counter(opened.waiting)
        self._served: dict[str, float] = {}
        for job in opened.active:
            self.serve(job)
            self._runs.update(tags(job.spec.labels))
        self.begin()

    def begin(self) -> None:
        """Forget a transaction that was rolled back; ready for the next."""
        self._next_job = self._committed_job
        self._new_runs: Counter[str] = Counter()  # differences
        self._forget_lines()
        self.entries: list[Entry] = []
        self.changed: dict[str, Job] = {}
        self.removed: set[str] = set()
        self.counts: Counts = defaultdict(int)
        self.writes = 0
        self.leaves_unsettled = False
        self._tails: dict[str, int] = {}  # newest entry of each job that has one in this transaction
        self._forget_unwritten()

    def _forget_unwritten(self) -> None:
        self._new: list[Job] = []
        self._stored: dict[str, Job] = {}  # of the jobs to update: as they are in their rows
        self._seen: dict[str, float] = {}
        self._untold: set[str] = set()  # jobs whose row does not know their newest entry
        self._noted: list[Noted] = []
        self._results: dict[int, Raw | None] = {}

    def mark(self) -> Mark:
        return Mark(
            len(self.entries), dict(self.changed), set(self.removed), self.counts.copy(), self._next_job,
            self._new_runs.copy(),
        )  # fmt: skip

    def restore(self, mark: Mark) -> None:
        """Back to a mark at which nothing was unwritten."""
        del self.entries[mark.entries :]
        self.changed, self.counts, self._next_job = dict(mark.changed), mark.counts.copy(), mark.next_job
        self._new_runs, self.removed = mark.runs.copy(), set(mark.removed)
        self._tails.clear()
        self._forget_lines()
        self._forget_unwritten()

    def flush(self) -> None:
        """Write jobs and journal so far. Raises StaleToken where a row is not what its change was made for."""
        if not (self._new or self._stored or self._noted or self._results):
            return
        try:
            self._insert_new()
            insert_entries(self._conn, self._noted)  # before the updates: each finds its predecessor in the job's row
            self._update()
            self._save_results()
        except BaseException:
            self.writes += 1  # the change that made us write may not be the one to blame
            raise
        self._forget_unwritten()

    def _insert_new(self) -> None:
        if not self._new:
            return
        jobs, self._new = self._new, []
        insert_jobs(self._conn, jobs, self._newest_at, self._tails)
        for job in jobs:
            self._untold.discard(job.id)
            if self.changed[job.id] is job:
                self._stored.pop(job.id, None)

    def _update(self) -> None:
        batches: dict[str, list[tuple[Any, ...]]] = {}
        moves: list[tuple[Any, ...]] = []
        for id, stored in self._stored.items():
            last = self._tails[id] if id in self._untold else None
            after = self.changed.get(id, stored)
            sql, values = update(stored, after, self._seen.get(id), last)
            batches.setdefault(sql, []).append(values)
            if after.spec.labels and after.state != stored.state:
                moves += phases.moves(stored, after)
        for sql, many in batches.items():
            if self._conn.executemany(sql, many).rowcount != len(many):
                runs = [f"{job.id}.{job.run.number if job.run else 0}" for job in self._stored.values()]
                raise StaleToken(", ".join(runs))
        if moves:
            self._conn.executemany(phases.MOVE, moves)

    def _save_results(self) -> None:
        kept = [(seq, bytes(result)) for seq, result in self._results.items() if result is not None]
        gone = [(seq,) for seq, result in self._results.items() if result is None]
        if kept:
            self._conn.executemany("INSERT OR REPLACE INTO result (job_seq, data) VALUES (?, ?)", kept)
        if gone:
            self._conn.executemany("DELETE FROM result WHERE job_seq = ?", gone)

    def keep_counts(self) -> None:
        """The last that a transaction writes."""
        counted = [(*lane, difference) for lane, difference in self.counts.items() if difference]
        if counted:
            self._conn.executemany(lookups.COUNT, counted)

    def waiting(self, owner: int) -> int:
        new = (more for (_, state, of), more in self.counts.items() if of == owner and state in WAITING)
        return self._waiting[owner] + sum(new)

    def committed(self) -> None:
        for (_, state, owner), difference in self.counts.items():
            self._waiting[owner] += difference if state in WAITING else 0
        self._next_entry += len(self.entries)
        self._committed_job = self._next_job
        for label, difference in self._new_runs.items():
            self._runs[label] += difference
            if not self._runs[label]:
                del self._runs[label]
        self._committed_lines()

    def job(self, id: str) -> Job:
        job = self.changed.get(id) or self._known(id)
        if id in self.removed:
            raise UnknownJob(id)
        if job is None:
            row = self._conn.execute(lookups.JOB_BY_ID, (id,)).fetchone()
            if row is None:
                raise UnknownJob(id)
            job = rows.job_from_row(row)
        return job

    def _one_job(self, sql: str, values: Sequence[Any]) -> Job | None:
        self.flush()  # the query must see what is not written yet
        row = self._conn.execute(sql, values).fetchone()
        return None if row is None else self.job(row[0])

    def holder(self, key: str, slot: int = 0) -> Job | None:
        return self._one_job(lookups.KEY_HOLDER, (key, slot))

    def aspirant(self, lock: str) -> Job | None:
        return self._one_job(lookups.ASPIRANT, (lock,))

    def first_blocked(self, lock: str) -> list[Job]:
        self.flush()
        return [self.job(id) for (id,) in self._conn.execute(lookups.FIRST_BLOCKED, {"lock": lock}).fetchall()]

    def due(self, at: float, limit: int) -> list[Job]:
        self.flush()
        return [self.job(id) for (id,) in self._conn.execute(lookups.DUE, (at, limit)).fetchall()]

    def first_limited(self, label: str) -> list[Job]:
        if label not in self._awaited:
            return []
        self.flush()
        found = [self.job(id) for (id,) in self._conn.execute(lookups.FIRST_LIMITED, {"label": label}).fetchall()]
        if not found:
            self._unawaited.add(label)
        return found

    def running(self, label: str) -> int:
        return self._runs[label] + self._new_runs[label]

    def latest(self, at: float) -> float:
        return max(at, self._newest_at)

    def take_seqs(self, count: int) -> int:
        first = self._next_job
        self._next_job += count
        return first

    def add(self, jobs: Sequence[Job], environments: Sequence[tuple[str, bytes]]) -> None:
        self.writes += 1
        if environments:
            sql = "INSERT OR IGNORE INTO environment (hash, data) VALUES (?, ?)"
            self._conn.executemany(sql, environments)
        for job in jobs:
            self._new.append(job)
            if job.created_at > self._newest_at:
                self._newest_at = job.created_at
            self._tails[job.id] = 0
            self.changed[job.id] = job
            self.counts[job.spec.queue, job.state, job.owner] += 1
            self._notice_wait(job)

    def put(self, before: Job, after: Job, seen_at: float | None = None) -> None:
        id = before.id
        if self.changed.get(id, before) is not before:
            raise StaleToken(before.id)
        self.writes += 1
        self._stored.setdefault(id, before)
        self.changed[id] = after
        if seen_at is not None:
            self._seen[id] = seen_at
        if after.blocked == "limit":
            self._notice_wait(after)
        if after.spec.labels and (opens := has_open_run(after)) != has_open_run(before):
            for label in tags(after.spec.labels):
                self._new_runs[label] += 1 if opens else -1
        if before.state != after.state:
            queue = after.spec.queue
            self.counts[queue, before.state, after.owner] -= 1
            self.counts[queue, after.state, after.owner] += 1

    def remove(self, jobs: Sequence[Job]) -> None:
        self.writes += 1
        self.flush()  # what refers to them has to be there before they go
        self._forget_histories(jobs)
        self._delete(jobs)
        for job in jobs:
            self.changed.pop(job.id, None)
            self.removed.add(job.id)
            self.counts[job.spec.queue, job.state, job.owner] -= 1

    def save_result(self, job: Job, result: Raw | None) -> None:
        self.writes += 1
        self._results[job.seq] = result

    def log(
        self, kind: str, at: float, job: Job | None = None, run: int | None = None,
        by: Peer | None = None, data: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        seq = self._next_entry + len(self.entries)
        id = None if job is None else job.id
        entry = Entry(seq=seq, at=at, kind=kind, job=id, run=run, by=by, data=data or {})
        if job is None or id is None:
            self._noted.append((entry, 0, None))
        else:
            self._noted.append((entry, self._tails.get(id), job.seq))
            self._tails[id] = seq
            self._untold.add(id)
            if id not in self._stored:
                self._stored[id] = self.changed.get(id, job)
        self.entries.append(entry)
