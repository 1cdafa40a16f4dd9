"""The journal of the store in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import Any

from jobkeepd.core.model import Entry, Peer


class MemoryJournal:
    """Rises by seq; up to `forgotten` only what is told of jobs that are there is left."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.last_seq = 0
        self.forgotten = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def add(
        self, kind: str, at: float, job: str | None, run: int | None, by: Peer | None, data: dict[str, Any]
    ) -> None:  # fmt: skip
        self.last_seq += 1
        self._entries.append(Entry(seq=self.last_seq, at=at, kind=kind, job=job, run=run, by=by, data=data))

    def after(self, seq: int) -> list[Entry]:
        return self._entries[bisect_right(self._entries, seq, key=lambda entry: entry.seq) :]

    def forget(self, through: int, kept: Collection[str]) -> None:
        """Up to there, but for the jobs that are kept."""
        self.forgotten = max(self.forgotten, through)
        self._entries = [each for each in self._entries if each.seq > through or each.job in kept]

    def forget_jobs(self, jobs: Collection[str]) -> None:
        """What was left of them."""
        self._entries = [each for each in self._entries if each.seq > self.forgotten or each.job not in jobs]
