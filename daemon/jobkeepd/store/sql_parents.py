"""Who waits for whose end, as steps use it: written at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from jobkeepd.core.model import Job
from jobkeepd.errors import AmbiguousJob, UnknownJob
from jobkeepd.store import lookups

MOST_SETTLED: Final = 200  # some 20 ms


class SqlParents:
    """The part of the ledger that knows of dependencies."""

    _conn: sqlite3.Connection
    leaves_unsettled: bool  # this transaction

    def job(self, id: str) -> Job:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def _write(self, sql: str, values: Sequence[Any]) -> int:
        raise NotImplementedError

    def find(self, ref: str) -> Job:
        try:
            return self.job(ref)
        except UnknownJob:
            self.flush()
            matches = [id for (id,) in self._conn.execute(lookups.IDS_BY_PREFIX, (ref, ref)).fetchall()]
            if not matches:
                raise
        if len(matches) > 1:
            raise AmbiguousJob(ref, tuple(matches[:10]))
        return self.job(matches[0])

    def is_there(self, id: str) -> bool:
        try:
            return bool(self.job(id))
        except UnknownJob:
            return False

    def live_with(self, labels: Mapping[str, str], limit: int) -> list[str]:
        self.flush()
        sql, values = lookups.live_with(labels)
        return [id for _, id in sorted(self._conn.execute(sql, (*values, limit)).fetchall())]

    def put_parents(self, child: Job, parents: Sequence[str], open: Collection[str]) -> None:
        self._write("DELETE FROM dependency WHERE job_seq = ?", (child.seq,))
        rows = [(child.seq, parent, parent in open) for parent in parents]
        self._conn.executemany("INSERT INTO dependency (job_seq, parent, open) VALUES (?, ?, ?)", rows)

    def parents(self, child: Job) -> list[str]:
        found = self._conn.execute("SELECT parent FROM dependency WHERE job_seq = ? ORDER BY parent", (child.seq,))
        return [parent for (parent,) in found.fetchall()]

    def has_open_parents(self, child: Job) -> bool:
        return self._conn.execute(lookups.OPEN_PARENT, (child.seq,)).fetchone() is not None

    def children(self, parent: str, limit: int) -> list[Job]:
        return [self.job(id) for (id,) in self._conn.execute(lookups.CHILDREN, (parent, limit)).fetchall()]

    def settle_children(self, parent: str, children: Sequence[Job]) -> None:
        for child in children:
            self._write("UPDATE dependency SET open = 0 WHERE job_seq = ? AND parent = ?", (child.seq, parent))

    @property
    def most_settled(self) -> int:
        return MOST_SETTLED

    def put_unsettled(self, parent: str, at: float | None) -> None:
        if at is None:
            self._write("DELETE FROM unsettled WHERE parent = ?", (parent,))
        else:
            self._write("INSERT OR REPLACE INTO unsettled (parent, at) VALUES (?, ?)", (parent, at))
            self.leaves_unsettled = True

    def unsettled(self, parent: str | None = None) -> tuple[str, float] | None:
        sql, values = (lookups.UNSETTLED, ()) if parent is None else (lookups.IS_UNSETTLED, (parent,))
        row: tuple[str, float] | None = self._conn.execute(sql, values).fetchone()
        return row
