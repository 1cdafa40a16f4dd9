"""The queued jobs of one queue that are next, in memory; the rest of the backlog stays on disk."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable

from jobkeepd.core.model import Job
from jobkeepd.store.base import Store

SIZE = 512


def _order(job: Job) -> tuple[float, int]:
    return (job.turn_at, job.seq)


class Window:
    """Sorted by turns. `complete` when the disk holds no further queued job."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._jobs: list[Job] = []
        self._ids: set[str] = set()
        self._complete = False
        self._missed = False  # a job was left to the disk while a fill was under way

    def peek(self, count: int) -> list[Job]:
        return self._jobs[:count]

    def remove(self, jobs: Iterable[Job]) -> None:
        gone = {job.id for job in jobs}
        if self._jobs[: len(gone)] and all(job.id in gone for job in self._jobs[: len(gone)]):
            del self._jobs[: len(gone)]
        else:
            self._jobs = [job for job in self._jobs if job.id not in gone]
        self._ids -= gone

    def offer(self, job: Job) -> None:
        """A job has become queued: take it if it belongs here, else leave it to the next fill."""
        if job.id in self._ids:
            return
        if self._complete or (self._jobs and _order(job) < _order(self._jobs[-1])):
            self._insert(job)
        else:
            self.miss()

    def miss(self) -> None:
        """A job has become queued that is not in memory."""
        self._complete = False
        self._missed = True

    @property
    def low(self) -> bool:
        return not self._complete and len(self._jobs) < SIZE // 4

    async def fill(self, store: Store, owned: Collection[str]) -> None:
        """Read on from disk. `owned` are jobs that have a task already, whatever the store says of them."""
        self._missed = False
        found = await store.queued(self._queue, SIZE, [*owned, *self._ids])
        for job in found:
            if job.id not in self._ids and job.id not in owned:
                self._insert(job)
        self._complete = len(found) < SIZE and not self._missed

    def _insert(self, job: Job) -> None:
        if not self._jobs or _order(self._jobs[-1]) < _order(job):
            self._jobs.append(job)  # most are the youngest of their priority
        else:
            insort(self._jobs, job, key=_order)
        self._ids.add(job.id)
        if len(self._jobs) > 4 * SIZE:  # the last ones can wait on disk
            self._ids.discard(self._jobs.pop().id)
            self.miss()
