"""Lines and who waits for the limit of a label, as steps use them. Small, and in memory; written when it changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from jobkeepd.core.line import Line
from jobkeepd.core.model import Job
from jobkeepd.store import lookups


class SqlLines:
    """The part of the ledger that knows of the order of queues.

    `_awaited` has all labels whose limits somebody waits for, and for a while those of whom nobody does any more.
    """

    _conn: sqlite3.Connection
    _lines: dict[str, Line]  # as of the last commit
    _served: dict[str, float]
    _awaited: set[str]
    _unawaited: set[str]

    def flush(self) -> None:
        raise NotImplementedError

    def _write(self, sql: str, values: Sequence[Any]) -> int:
        raise NotImplementedError

    def _forget_lines(self) -> None:
        """What is only true of a transaction that was rolled back; ready for the next."""
        self._new_lines: dict[str, Line] = {}
        self._heads: dict[str, float | None] = {}
        self._unawaited.clear()

    def _committed_lines(self) -> None:
        self._lines.update(self._new_lines)
        self._awaited -= self._unawaited
        self._unawaited.clear()

    def _notice_wait(self, job: Job) -> None:
        if job.blocked == "limit" and job.waits_on is not None:
            self._awaited.add(job.waits_on)
            self._unawaited.discard(job.waits_on)

    def awaited(self) -> list[str]:
        return sorted(self._awaited)

    def serve(self, job: Job) -> None:
        """In memory alone: that of a transaction that failed does no harm, and a start begins with what runs."""
        queue = job.spec.queue
        self._served[queue] = max(job.line_at, self._served.get(queue, job.line_at))

    def served(self, queue: str) -> float | None:
        head = self._head(queue)
        return None if head is None else self._served.get(queue, head)

    def _head(self, queue: str) -> float | None:
        """As it was when this transaction asked first: it does not change much in one."""
        if queue not in self._heads:
            self.flush()
            found = [self._conn.execute(sql, (queue,)).fetchone() for sql in (lookups.HEAD, lookups.LIMITED_HEAD)]
            self._heads[queue] = min((row[0] for row in found if row is not None), default=None)
        return self._heads[queue]

    def has_waiting(self, queue: str, line_at: float) -> None:
        if self._heads.get(queue) is None:
            self._heads[queue] = line_at

    def line(self, queue: str) -> Line | None:
        return self._new_lines.get(queue) or self._lines.get(queue)

    def put_line(self, queue: str, line: Line) -> None:
        self._new_lines[queue] = line
        values = (queue, line.at, line.clock, line.peak)
        self._write("INSERT OR REPLACE INTO line (queue, at, clock, peak) VALUES (?, ?, ?, ?)", values)

    def flow(self, queue: str, value: str) -> float | None:
        row = self._conn.execute(lookups.FLOW, (queue, value)).fetchone()
        return None if row is None else float(row[0])

    def put_flow(self, queue: str, value: str, following: float, clock: float) -> None:
        self._write(lookups.OLD_FLOWS, (queue, clock))
        sql = "INSERT OR REPLACE INTO flow (queue, value, following) VALUES (?, ?, ?)"
        self._write(sql, (queue, value, following))
