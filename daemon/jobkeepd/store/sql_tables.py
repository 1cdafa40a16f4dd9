"""Tables beside jobs and journal, as steps use them: written at once. In the thread of the connection that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, json

from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.model import FailedItem, Job, Moment, Run, SavedCheckpoint
from jobkeepd.core.patience import Deadline
from jobkeepd.core.queueing import Control
from jobkeepd.store import deadlines, lookups, rows
from jobkeepd.store.changes import Submitted
from jobkeepd.store.ledger import ItemId

_request: Final = json.Decoder(Submitted).decode


class SqlTables:
    """The half of the ledger that has nothing to put off."""

    _conn: sqlite3.Connection
    writes: int

    def _insert_new(self) -> None:
        """Rows may refer to a job: it must be there."""
        raise NotImplementedError

    def _write(self, sql: str, values: Sequence[Any]) -> int:
        """To a table whose rows may refer to a job; how many rows it has changed."""
        self.writes += 1
        self._insert_new()
        return self._conn.execute(sql, values).rowcount

    def lock(self, name: str) -> Lock | None:
        row = self._conn.execute("SELECT data FROM lock WHERE name = ?", (name,)).fetchone()
        return None if row is None else rows.lock_from_text(row[0])

    def put_lock(self, lock: Lock) -> None:
        values = (lock.name, lock.token, lock.holder is not None, rows.text(lock))
        self.writes += 1
        self._conn.execute("INSERT OR REPLACE INTO lock (name, token, held, data) VALUES (?, ?, ?, ?)", values)

    def control(self, queue: str) -> Control | None:
        row = self._conn.execute("SELECT data FROM queue_control WHERE name = ?", (queue,)).fetchone()
        return None if row is None else rows.control_from_text(row[0])

    def put_control(self, control: Control) -> None:
        values = (control.name, rows.text(control))
        self._write("INSERT OR REPLACE INTO queue_control (name, data) VALUES (?, ?)", values)

    def schedule(self, name: str) -> Schedule | None:
        row = self._conn.execute("SELECT data FROM schedule WHERE name = ?", (name,)).fetchone()
        return None if row is None else rows.schedule_from_text(row[0])

    def put_schedule(self, schedule: Schedule) -> None:
        self._write("INSERT OR REPLACE INTO schedule (name, data) VALUES (?, ?)", (schedule.name, rows.text(schedule)))

    def remove_schedule(self, name: str) -> None:
        self._write("DELETE FROM schedule WHERE name = ?", (name,))

    def _forgotten(self) -> int:
        row = self._conn.execute(lookups.FORGOTTEN).fetchone()
        return 0 if row is None else int(row[0])

    def forget_events(self, through: int) -> None:
        before = self._forgotten()
        if through > before:
            self.writes += 1
            self._insert_new()  # whose job is there, its entries stay
            self._conn.execute(lookups.FORGET_EVENTS, (before, through))
            self._conn.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('forgotten', ?)", (str(through),))

    def _forget_histories(self, jobs: Sequence[Job]) -> None:
        """What was kept for their sake, of the part that is forgotten."""
        if through := self._forgotten():
            self._conn.executemany(lookups.FORGET_HISTORY, [(job.id, through) for job in jobs])

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        row = self._conn.execute(lookups.REQUEST, (uid, request)).fetchone()
        return None if row is None else (row[0], _request(row[1]))

    def asked(self, behind: tuple[int, str], limit: int) -> Sequence[tuple[int, str, float]]:
        return self._conn.execute(lookups.ASKED, (*behind, limit)).fetchall()

    def forget_requests(self, requests: Sequence[tuple[int, str]]) -> None:
        if requests:
            self.writes += 1
            self._conn.executemany("DELETE FROM request WHERE uid = ? AND id = ?", requests)

    def remember(self, uid: int, request: str, digest: str, answer: Submitted, at: float) -> None:
        self._write(
            "INSERT INTO request (uid, id, digest, answer, at) VALUES (?, ?, ?, ?, ?)",
            (uid, request, digest, rows.text(answer), at),
        )

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

    def deadline(self, job: Job) -> Deadline | None:
        return deadlines.of_job(self._conn, job.seq)

    def put_deadline(self, job: Job, deadline: Deadline | None) -> None:
        self._write(*deadlines.putting(job.seq, deadline))

    def redate_deadlines(self, now: Moment, at: float, limit: int) -> int:
        return self._write(*deadlines.redating(now, at, limit))

    def save_checkpoint(self, job: Job, checkpoint: SavedCheckpoint) -> None:
        self._write(
            "INSERT OR REPLACE INTO checkpoint (job_seq, seq, cursor, state) VALUES (?, ?, ?, ?)",
            (job.seq, checkpoint.seq, bytes(checkpoint.cursor), bytes(checkpoint.state)),
        )

    def record_items(self, job: Job, failed: Mapping[ItemId, FailedItem], resolved: Sequence[ItemId], at: float) -> int:
        self.writes += 1
        self._insert_new()
        gone = set(resolved)
        touched = [(job.seq, *item) for item in gone | failed.keys()]
        deleted = self._conn.executemany(rows.DELETE_ITEM, touched).rowcount
        kept = [item for id, item in failed.items() if id not in gone]
        values = [(job.seq, i.key, rows.text(i.error), i.batch, i.ordinal, i.run, at) for i in kept]
        self._conn.executemany(rows.INSERT_ITEM, values)
        return len(kept) - deleted

    def forget_progress(self, job: Job) -> None:
        for table in ("checkpoint", "failed_item", "step"):
            self._write(f"DELETE FROM {table} WHERE job_seq = ?", (job.seq,))

    def count_steps(self, job: Job) -> int:
        return int(self._conn.execute("SELECT count(*) FROM step WHERE job_seq = ?", (job.seq,)).fetchone()[0])

    def save_step(self, job: Job, ordinal: int, name: str, result: Raw, at: float) -> None:
        self._write(
            "INSERT INTO step (job_seq, ordinal, name, result, at) VALUES (?, ?, ?, ?, ?)",
            (job.seq, ordinal, name, bytes(result), at),
        )
