"""Who sees from outside what really runs, and what came of it. Knows nothing of the daemon."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Violation(AssertionError):
    """Something happened that must not."""


class Judge:
    """Each run tells it of its begin, its items and its end; a process that dies ends its run."""

    def __init__(self) -> None:
        self.live: dict[str, int] = {}  # job -> number of the run that lives
        self.started: Counter[tuple[str, int]] = Counter()
        self.achieved: set[tuple[str, int]] = set()  # runs that got to their good end
        self.items: defaultdict[str, Counter[int]] = defaultdict(Counter)  # job -> item -> how often it was done
        self._left: set[str] = set()
        self.locks: dict[str, str] = {}  # lock -> job of which a process lives
        self.queues: Counter[str] = Counter()
        self.peaks: Counter[str] = Counter()

    @contextmanager
    def run(self, job: str, number: int, lock: str | None, queue: str) -> Iterator[None]:
        """While a process works for that run."""
        self.started[job, number] += 1
        if self.started[job, number] > 1:
            raise Violation(f"run {number} of {job} was started twice")
        if job in self.live:
            raise Violation(f"runs {self.live[job]} and {number} of {job} live at once")
        if lock is not None and lock in self.locks:
            raise Violation(f"{job} works under lock {lock}, and so does {self.locks[lock]}")
        self.live[job] = number
        self.queues[queue] += 1
        self.peaks[queue] = max(self.peaks[queue], self.queues[queue])
        if lock is not None:
            self.locks[lock] = job
        try:
            yield
        finally:
            del self.live[job]
            self.queues[queue] -= 1
            if lock is not None:
                del self.locks[lock]

    @contextmanager
    def leftover(self, run: str) -> Iterator[None]:
        """While something is left of a command whose leader has ended."""
        self._left.add(run)
        try:
            yield
        finally:
            self._left.discard(run)

    def hear_end(self, job: str, number: int) -> None:
        """The daemon says that a run has ended."""
        if self.live.get(job) == number:
            raise Violation(f"run {number} of {job} is said to have ended, and its process lives")
        if f"{job}.{number}" in self._left:
            raise Violation(f"run {number} of {job} is said to have ended, and a child of it lives")

    def item(self, job: str, item: int) -> None:
        self.items[job][item] += 1

    def achieve(self, job: str, number: int) -> None:
        self.achieved.add((job, number))
