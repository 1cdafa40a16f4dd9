"""The ledger of one SQLite transaction. It runs in the thread of the connection that writes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import compress, product
from typing import Any, Final

from msgspec import Raw, Struct, json

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, FailedItem, Job, Peer, Run, SavedCheckpoint
from jobkeepd.errors import StaleToken, UnknownJob
from jobkeepd.store import rows
from jobkeepd.store.changes import Submitted
from jobkeepd.store.ledger import ItemId
from jobkeepd.store.run_steps import has_open_run

_SELECT_JOB: Final = f"SELECT {rows.JOB_COLUMNS} FROM {rows.JOB_TABLES}"
JOB_BY_ID: Final = f"{_SELECT_JOB} WHERE id = ?"
# The literal conditions are those of the partial indexes.
KEY_HOLDER: Final = (
    "SELECT id FROM job WHERE key = ? AND state IN ('scheduled', 'queued', 'running', 'cancelling')"
)
DUE: Final = "SELECT id FROM job WHERE state = 'scheduled' AND due_at <= ? ORDER BY due_at, seq LIMIT ?"

# The groups of columns that an update may set. A group that is left out spares its indexes.
_RUN: Final = "fence = ?, run_open = ?, run_number = ?, run_seat = ?, run_since = ?, run = ?"
_PROGRESS: Final = (
    "done = ?, total = ?, note = ?, tallies = ?, failed_items = ?, checkpoint_seq = ?, checkpoint_at = ?"
)
_SEEN: Final = "seen_at = ?"
_STATE: Final = (
    "state = ?, due_at = ?, started_at = ?, ended_at = ?, attempts = ?, only_failed = ?, stop = ?,"
    " outcome = ?, reason = ?, error = ?"
)
_GROUPS: Final = (_RUN, _PROGRESS, _SEEN, _STATE)
_GUARD: Final = "WHERE seq = ? AND state = ? AND fence = ? AND run_number = ? AND run_open = ?"
# One text for each choice of groups, made once: SQLite's statements are cached by their text.
UPDATES: Final = {
    wanted: f"UPDATE job SET {', '.join(compress(_GROUPS, wanted))} {_GUARD}"
    for wanted in product((False, True), repeat=4)
}

_request: Final = json.Decoder(Submitted).decode


class Mark(Struct, frozen=True):
    """What a savepoint has to restore of the ledger's memory."""

    entries: int
    changed: dict[str, Job]
    counts: Counter[tuple[str, JobState]]
    next_job: int


class SqlLedger:
    """`known` answers from memory, as of the last commit. `writes` tells whether a step has written."""

    def __init__(
        self, conn: sqlite3.Connection, known: Callable[[str], Job | None], next_job: int, next_entry: int
    ) -> None:
        self._conn = conn
        self._known = known
        self._next_job = next_job
        self._next_entry = next_entry
        self._committed_job = next_job
        self._entry_rows: list[tuple[Any, ...]] = []
        self.entries: list[Entry] = []
        self.changed: dict[str, Job] = {}
        self.counts: Counter[tuple[str, JobState]] = Counter()
        self.writes = 0

    def begin(self) -> None:
        """Forget a transaction that was rolled back; ready for the next."""
        self._next_job = self._committed_job
        self._entry_rows, self.entries, self.changed, self.counts = [], [], {}, Counter()
        self.writes = 0

    def mark(self) -> Mark:
        return Mark(len(self.entries), dict(self.changed), self.counts.copy(), self._next_job)

    def restore(self, mark: Mark) -> None:
        del self.entries[mark.entries :]
        self._entry_rows.clear()  # those before the mark are written: with savepoints, each change is flushed
        self.changed, self.counts, self._next_job = dict(mark.changed), mark.counts.copy(), mark.next_job

    def flush(self) -> None:
        """Write the journal so far, in one go."""
        if self._entry_rows:
            self._conn.executemany(rows.INSERT_ENTRY, self._entry_rows)
            self._entry_rows.clear()

    def committed(self) -> None:
        self._next_entry += len(self.entries)
        self._committed_job = self._next_job

    def _write(self, sql: str, values: Sequence[Any]) -> int:
        self.writes += 1
        return self._conn.execute(sql, values).rowcount

    def job(self, id: str) -> Job:
        job = self.changed.get(id) or self._known(id)
        if job is None:
            row = self._conn.execute(JOB_BY_ID, (id,)).fetchone()
            if row is None:
                raise UnknownJob(id)
            job = rows.job_from_row(row)
        return job

    def holder(self, key: str) -> Job | None:
        row = self._conn.execute(KEY_HOLDER, (key,)).fetchone()
        return None if row is None else self.job(row[0])

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        row = self._conn.execute(
            "SELECT digest, answer FROM request WHERE uid = ? AND id = ?", (uid, request)
        ).fetchone()
        return None if row is None else (row[0], _request(row[1]))

    def due(self, at: float, limit: int) -> list[Job]:
        return [self.job(id) for (id,) in self._conn.execute(DUE, (at, limit)).fetchall()]

    def take_seqs(self, count: int) -> int:
        first = self._next_job
        self._next_job += count
        return first

    def add(self, jobs: Sequence[Job], environments: Sequence[tuple[str, bytes]]) -> None:
        self.writes += 1
        many = self._conn.executemany
        if environments:
            many("INSERT OR IGNORE INTO environment (hash, data) VALUES (?, ?)", environments)
        many(rows.INSERT_JOB, [rows.new_job_row(job) for job in jobs])
        specs = [(job.seq, rows.text(job.spec)) for job in jobs]
        many("INSERT INTO spec (job_seq, data) VALUES (?, ?)", specs)
        labels = [(key, value, job.seq) for job in jobs for key, value in job.spec.labels.items()]
        if labels:
            many("INSERT INTO label (key, value, job_seq) VALUES (?, ?, ?)", labels)
        for job in jobs:
            self.changed[job.id] = job
            self.counts[job.spec.queue, job.state] += 1

    def remember(self, uid: int, request: str, digest: str, answer: Submitted, at: float) -> None:
        self._write(
            "INSERT INTO request (uid, id, digest, answer, at) VALUES (?, ?, ?, ?, ?)",
            (uid, request, digest, rows.text(answer), at),
        )

    def put(self, before: Job, after: Job, seen_at: float | None = None) -> None:
        wanted, values = _differences(before, after, seen_at)
        run = before.run
        number = 0 if run is None else run.number
        values += (before.seq, before.state, before.fence, number, has_open_run(before))
        if self._write(UPDATES[wanted], values) == 0:
            raise StaleToken(f"{before.id}.{number}")
        self.changed[after.id] = after
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
        if result is None:
            self._write("DELETE FROM result WHERE job_seq = ?", (job.seq,))
        else:
            sql = "INSERT OR REPLACE INTO result (job_seq, data) VALUES (?, ?)"
            self._write(sql, (job.seq, bytes(result)))

    def log(
        self, kind: str, at: float, job: Job | None = None, run: int | None = None,
        by: Peer | None = None, data: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        seq = self._next_entry + len(self.entries)
        id = None if job is None else job.id
        entry = Entry(seq=seq, at=at, kind=kind, job=id, run=run, by=by, data=data or {})
        self._entry_rows.append(rows.entry_row(entry, None if job is None else job.seq))
        self.entries.append(entry)


def _differences(
    before: Job, after: Job, seen_at: float | None
) -> tuple[tuple[bool, bool, bool, bool], list[Any]]:
    """Which groups of columns have to be written, and their values."""
    values: list[Any] = []
    if run := before.run is not after.run:
        values += (after.fence, has_open_run(after), *rows.run_values(after.run))
    if progress := before.progress is not after.progress or before.checkpoint_seq != after.checkpoint_seq:
        p = after.progress
        tallies = rows.text(p.tallies) if p.tallies else None
        values += (p.done, p.total, p.note, tallies, p.failed_items, after.checkpoint_seq, after.checkpoint_at)
    if seen := seen_at is not None:
        values.append(seen_at)
    # never nothing at all: the guard must be asked
    if state := _state(before) != (columns := _state(after)) or not (run or progress or seen):
        values += columns
        if after.error is not None:
            values[-1] = rows.text(after.error)
    return (run, progress, seen, state), values


def _state(job: Job) -> tuple[Any, ...]:
    return (
        job.state, job.due_at, job.started_at, job.ended_at, job.attempts, job.only_failed, job.stop,
        job.outcome, job.reason, job.error,
    )  # fmt: skip
