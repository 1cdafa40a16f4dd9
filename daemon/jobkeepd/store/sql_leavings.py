"""What removed jobs leave behind, in the database and on disk, as steps take it away. In the writing thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from jobkeepd.core.model import Job
from jobkeepd.store.removal_changes import Leftover

# Rows that go with a job in one commit. One with more is buried: nothing finds it any more, by no index and no id that
# anybody can have, and its rows are erased piece by piece.
AT_ONCE: Final = 5000
BURY: Final = (
    "UPDATE job SET id = '~' || seq, name = '', state = 'removed', queue = '', key = NULL, lock = NULL,"
    " ended_at = NULL, environment = NULL, reason = NULL, error = NULL, run = NULL, tallies = NULL, note = NULL,"
    " spec = NULL WHERE seq = ?"
)
BURIED: Final = "SELECT seq FROM job WHERE id > '~' ORDER BY id LIMIT 1"
PIECES: Final = (
    "DELETE FROM failed_item WHERE job_seq = :seq AND (batch, key) IN"
    " (SELECT batch, key FROM failed_item WHERE job_seq = :seq LIMIT :limit)",
    "DELETE FROM step WHERE job_seq = :seq AND ordinal IN (SELECT ordinal FROM step WHERE job_seq = :seq LIMIT :limit)",
)
USED_SINCE: Final = "SELECT environment FROM job WHERE seq > ?"
USED_BY_SCHEDULES: Final = "SELECT data ->> '$.terms.environment' FROM schedule"
ENVIRONMENTS: Final = "SELECT hash FROM environment WHERE hash > ? ORDER BY hash LIMIT ?"


def rows_of(job: Job) -> int:
    """How many hang on it, of those of which there may be many."""
    return job.progress.failed_items + (0 if job.run is None else job.run.steps)


class SqlLeavings:
    """The part of the ledger that takes things away."""

    _conn: sqlite3.Connection
    writes: int

    def flush(self) -> None:
        """What is not written yet has to be there."""
        raise NotImplementedError

    def _delete(self, jobs: Sequence[Job]) -> None:
        buried = [(job.seq,) for job in jobs if rows_of(job) > AT_ONCE]
        self._conn.executemany(BURY, buried)
        for table in ("label", "spec", "run", "checkpoint", "result"):
            self._conn.executemany(f"DELETE FROM {table} WHERE job_seq = ?", buried)
        self._conn.executemany(
            "DELETE FROM job WHERE seq = ?", [(job.seq,) for job in jobs if (job.seq,) not in buried]
        )

    def erase(self, limit: int) -> bool:
        row = self._conn.execute(BURIED).fetchone()
        if row is None:
            return False
        self.writes += 1
        for sql in PIECES:
            limit -= self._conn.execute(sql, {"seq": row[0], "limit": limit}).rowcount
        if limit > 0:
            self._conn.execute("DELETE FROM job WHERE seq = ?", row)
        return True

    def forget_environments(self, is_used: Callable[[str], bool], behind: int, after: str, limit: int) -> str | None:
        self.flush()
        page = [hash for (hash,) in self._conn.execute(ENVIRONMENTS, (after, limit))]
        doubtful = [hash for hash in page if not is_used(hash)]
        if doubtful:
            used = {hash for (hash,) in self._conn.execute(USED_SINCE, (behind,))}
            used |= {hash for (hash,) in self._conn.execute(USED_BY_SCHEDULES)}
            gone = [(hash,) for hash in doubtful if hash not in used]
            self.writes += bool(gone)
            self._conn.executemany("DELETE FROM environment WHERE hash = ?", gone)
        return page[-1] if len(page) == limit else None

    def put_leftovers(self, leftovers: Sequence[Leftover]) -> None:
        self.writes += 1
        values = [(left.job, left.runs) for left in leftovers]
        self._conn.executemany("INSERT INTO leftover (job, runs) VALUES (?, ?)", values)

    def forget_leftovers(self, jobs: Sequence[str]) -> None:
        self.writes += 1
        self._conn.executemany("DELETE FROM leftover WHERE job = ?", [(job,) for job in jobs])
