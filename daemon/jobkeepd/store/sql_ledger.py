"""The ledger of one SQLite transaction. It runs in the thread of the connection that writes."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Raw, Struct, json

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, FailedItem, Job, Peer, Run, SavedCheckpoint
from jobkeepd.errors import StaleToken, UnknownJob
from jobkeepd.store import rows
from jobkeepd.store.changes import Submitted
from jobkeepd.store.ledger import ItemId
from jobkeepd.store.opening import Opened
from jobkeepd.store.updates import update

JOB_BY_ID: Final = f"SELECT {rows.JOB_COLUMNS} FROM job WHERE id = ?"
# The literal conditions are those of the partial indexes.
KEY_HOLDER: Final = (
    "SELECT id FROM job WHERE key = ? AND state IN ('scheduled', 'queued', 'running', 'cancelling')"
)
DUE: Final = "SELECT id FROM job WHERE state = 'scheduled' AND due_at <= ? ORDER BY due_at, seq LIMIT ?"

Counts: TypeAlias = defaultdict[tuple[str, JobState], int]  # differences, by queue and state
_request: Final = json.Decoder(Submitted).decode


class Mark(Struct, frozen=True):
    """What a savepoint has to restore of the ledger's memory."""

    entries: int
    changed: dict[str, Job]
    counts: Counts
    next_job: int


class SqlLedger:
    """`known` answers from memory, as of the last commit. `writes` tells whether a step has written.

    Jobs and journal are written by `flush`: each job that changed once, however many steps it took, and all
    that is of one kind by one statement. Other tables are written at once.
    """

    def __init__(
        self, conn: sqlite3.Connection, known: Callable[[str], Job | None], opened: Opened
    ) -> None:
        self._conn = conn
        self._known = known
        self._next_job = self._committed_job = opened.next_job
        self._next_entry = opened.next_entry
        self._newest_at = opened.newest_at
        self.begin()

    def begin(self) -> None:
        """Forget a transaction that was rolled back; ready for the next."""
        self._next_job = self._committed_job
        self.entries: list[Entry] = []
        self.changed: dict[str, Job] = {}
        self.counts: Counts = defaultdict(int)
        self.writes = 0
        self._tails: dict[str, int] = {}  # newest entry of each job that has one in this transaction
        self._forget_unwritten()

    def _forget_unwritten(self) -> None:
        self._new: list[Job] = []
        self._stored: dict[str, Job] = {}  # of the jobs to update: as they are in their rows
        self._seen: dict[str, float] = {}
        self._untold: set[str] = set()  # jobs whose row does not know their newest entry
        self._entry_rows: list[tuple[Any, ...]] = []
        self._results: dict[int, Raw | None] = {}

    def mark(self) -> Mark:
        return Mark(len(self.entries), dict(self.changed), self.counts.copy(), self._next_job)

    def restore(self, mark: Mark) -> None:
        """Back to a mark at which nothing was unwritten."""
        del self.entries[mark.entries :]
        self.changed, self.counts, self._next_job = dict(mark.changed), mark.counts.copy(), mark.next_job
        self._tails.clear()
        self._forget_unwritten()

    def flush(self) -> None:
        """Write jobs and journal so far. Raises StaleToken where a row is not what its change was made for."""
        if not (self._new or self._stored or self._entry_rows or self._results):
            return
        try:
            self._insert_new()
            if self._entry_rows:  # before the updates: an entry finds its predecessor in the job's row
                self._conn.executemany(rows.INSERT_ENTRY, self._entry_rows)
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
        values: list[tuple[Any, ...]] = []
        big: list[tuple[int, str]] = []
        labels: list[tuple[str, str, int]] = []
        for job in jobs:
            spec: str | None = rows.text(job.spec)
            if spec is not None and len(spec) > rows.SPEC_IN_ROW:
                big.append((job.seq, spec))
                spec = None
            if job.spec.labels:
                labels += [(key, value, job.seq) for key, value in job.spec.labels.items()]
            if job.created_at > self._newest_at:
                self._newest_at = job.created_at
            values.append(rows.new_job_row(job, self._newest_at, self._tails[job.id], spec))
            self._untold.discard(job.id)
            if self.changed[job.id] is job:
                self._stored.pop(job.id, None)
        self._conn.executemany(rows.INSERT_JOB, values)
        if big:
            self._conn.executemany(rows.INSERT_SPEC, big)
        if labels:
            self._conn.executemany("INSERT INTO label (key, value, job_seq) VALUES (?, ?, ?)", labels)

    def _update(self) -> None:
        batches: dict[str, list[tuple[Any, ...]]] = {}
        for id, stored in self._stored.items():
            last = self._tails[id] if id in self._untold else None
            sql, values = update(stored, self.changed.get(id, stored), self._seen.get(id), last)
            batches.setdefault(sql, []).append(values)
        for sql, many in batches.items():
            if self._conn.executemany(sql, many).rowcount != len(many):
                runs = [f"{job.id}.{job.run.number if job.run else 0}" for job in self._stored.values()]
                raise StaleToken(", ".join(runs))

    def _save_results(self) -> None:
        kept = [(seq, bytes(result)) for seq, result in self._results.items() if result is not None]
        gone = [(seq,) for seq, result in self._results.items() if result is None]
        if kept:
            self._conn.executemany("INSERT OR REPLACE INTO result (job_seq, data) VALUES (?, ?)", kept)
        if gone:
            self._conn.executemany("DELETE FROM result WHERE job_seq = ?", gone)

    def committed(self) -> None:
        self._next_entry += len(self.entries)
        self._committed_job = self._next_job

    def _write(self, sql: str, values: Sequence[Any]) -> None:
        """To a table whose rows may refer to a job."""
        self.writes += 1
        self._insert_new()
        self._conn.execute(sql, values)

    def job(self, id: str) -> Job:
        job = self.changed.get(id) or self._known(id)
        if job is None:
            row = self._conn.execute(JOB_BY_ID, (id,)).fetchone()
            if row is None:
                raise UnknownJob(id)
            job = rows.job_from_row(row)
        return job

    def holder(self, key: str) -> Job | None:
        self.flush()  # the query must see what is not written yet
        row = self._conn.execute(KEY_HOLDER, (key,)).fetchone()
        return None if row is None else self.job(row[0])

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        row = self._conn.execute(
            "SELECT digest, answer FROM request WHERE uid = ? AND id = ?", (uid, request)
        ).fetchone()
        return None if row is None else (row[0], _request(row[1]))

    def due(self, at: float, limit: int) -> list[Job]:
        self.flush()
        return [self.job(id) for (id,) in self._conn.execute(DUE, (at, limit)).fetchall()]

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
            self._tails[job.id] = 0
            self.changed[job.id] = job
            self.counts[job.spec.queue, job.state] += 1

    def remember(self, uid: int, request: str, digest: str, answer: Submitted, at: float) -> None:
        self._write(
            "INSERT INTO request (uid, id, digest, answer, at) VALUES (?, ?, ?, ?, ?)",
            (uid, request, digest, rows.text(answer), at),
        )

    def put(self, before: Job, after: Job, seen_at: float | None = None) -> None:
        id = before.id
        if self.changed.get(id, before) is not before:
            raise StaleToken(before.id)
        self.writes += 1
        self._stored.setdefault(id, before)
        self.changed[id] = after
        if seen_at is not None:
            self._seen[id] = seen_at
        if before.state != after.state:
            queue = after.spec.queue
            self.counts[queue, before.state] -= 1
            self.counts[queue, after.state] += 1

    def shelve(self, job: Job, run: Run) -> None:
        values = (job.seq, run.number, rows.text(run))
        self._write("INSERT INTO run (job_seq, number, data) VALUES (?, ?, ?)", values)

    def unshelve(self, job: Job) -> Run | None:
        newest = "job_seq = ? ORDER BY number DESC LIMIT 1"
        row = self._conn.execute(f"SELECT data FROM run WHERE {newest}", (job.seq,)).fetchone()
        if row is None:
            return None
        run = rows.run_from_text(row[0])
        self._write("DELETE FROM run WHERE job_seq = ? AND number = ?", (job.seq, run.number))
        return run

    def save_checkpoint(self, job: Job, checkpoint: SavedCheckpoint) -> None:
        self._write(
            "INSERT OR REPLACE INTO checkpoint (job_seq, seq, cursor, state) VALUES (?, ?, ?, ?)",
            (job.seq, checkpoint.seq, bytes(checkpoint.cursor), bytes(checkpoint.state)),
        )

    def record_items(
        self, job: Job, failed: Mapping[ItemId, FailedItem], resolved: Sequence[ItemId], at: float
    ) -> int:
        self.writes += 1
        self._insert_new()
        gone = set(resolved)
        deleted = self._conn.executemany(
            "DELETE FROM failed_item WHERE job_seq = ? AND batch = ? AND key = ?",
            [(job.seq, *item) for item in gone | failed.keys()],
        ).rowcount
        kept = [item for id, item in failed.items() if id not in gone]
        self._conn.executemany(
            "INSERT INTO failed_item (job_seq, key, error, batch, ordinal, run, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(job.seq, i.key, rows.text(i.error), i.batch, i.ordinal, i.run, at) for i in kept],
        )
        return len(kept) - deleted

    def forget_progress(self, job: Job) -> None:
        self._write("DELETE FROM checkpoint WHERE job_seq = ?", (job.seq,))
        self._write("DELETE FROM failed_item WHERE job_seq = ?", (job.seq,))

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
            self._entry_rows.append(rows.entry_row(entry, 0, None))
        else:
            self._entry_rows.append(rows.entry_row(entry, self._tails.get(id), job.seq))
            self._tails[id] = seq
            self._untold.add(id)
            if id not in self._stored:
                self._stored[id] = self.changed.get(id, job)
        self.entries.append(entry)
