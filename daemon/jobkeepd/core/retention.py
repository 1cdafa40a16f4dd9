"""How long what is over is kept: pure. Whatever is decided, what lives is not spoken of here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Final

from msgspec import Struct

from jobkeepd.core.model import Entry

NEWEST_EVENTS: Final = 1000  # are kept in any case: who follows the journal is not that far behind


class Keep(Struct, frozen=True):
    """A job stays as long as it is young enough, and among the latest. 0: without such a bound."""

    age: float  # seconds since its end
    count: int  # of a queue, those that ended last

    def surplus(self, ended: int) -> int:
        """How many of so many are too many."""
        return max(ended - self.count, 0) if self.count else 0

    def since(self, now: float) -> float:
        """What ended, or happened, before is too old."""
        return now - self.age if self.age else float("-inf")


class Ended(Struct, frozen=True):
    """A job of a queue that has ended."""

    id: str
    at: float
    items: int = 0  # that have failed: rows that go with it


class Met:
    """Which of any number of words were met, in 1 MiB: it may be wrong about one that was not, never the other way."""

    def __init__(self) -> None:
        self._bits = bytearray(1 << 20)

    def add(self, word: str) -> None:
        place = hash(word) % (8 * len(self._bits))
        self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, word: str) -> bool:
        place = hash(word) % (8 * len(self._bits))
        return bool(self._bits[place >> 3] >> (place & 7) & 1)


def doomed(oldest: Sequence[Ended], ended: int, keep: Keep, now: float) -> list[Ended]:
    """Those that go, of the oldest of a queue, in which `ended` have."""
    surplus, since = keep.surplus(ended), keep.since(now)
    return [job for rank, job in enumerate(oldest) if rank < surplus or job.at < since]


def light(jobs: Sequence[Ended], most: int) -> list[Ended]:
    """The first of them, with at most so many rows; at least one."""
    weights = accumulate(job.items for job in jobs)
    return [job for place, (job, weight) in enumerate(zip(jobs, weights, strict=True)) if place == 0 or weight <= most]


def forgettable(page: Sequence[Entry], last_seq: int, keep: Keep, now: float) -> int | None:
    """Up to which seq the journal goes; `page` is where it begins. None: all of it stays."""
    newest = last_seq - NEWEST_EVENTS
    surplus, since = last_seq - keep.count if keep.count else 0, keep.since(now)
    old = list(takewhile(lambda entry: entry.seq <= newest and (entry.seq <= surplus or entry.at < since), page))
    return old[-1].seq if old else None
