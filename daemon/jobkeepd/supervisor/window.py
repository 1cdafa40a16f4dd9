"""The queued jobs of one queue that are next, in memory; the rest of the backlog stays on disk."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable

from jobkeepd.core.model import Job
from jobkeepd.core.weight import HEAVIEST, weight
from jobkeepd.store.base import Store

SIZE = 512


def _order(job: Job) -> tuple[float, int]:
    return (job.turn_at, job.seq)


class Window:
    """Sorted by turns. `complete` when the disk holds no further queued job."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._jobs: list[Job] = []
        self._weights: dict[str, int] = {}  # of the specs of these jobs
        self._weight = 0
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
        self._weight -= sum(self._weights.pop(id, 0) for id in gone)

    def offer(self, job: Job) -> None:
        """A job has become queued: take it if it belongs here, else leave it to the next fill."""
        if job.id in self._weights:
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
        return not self._complete and len(self._jobs) < SIZE // 4 and self._weight < HEAVIEST // 4

    async def fill(self, store: Store, owned: Collection[str]) -> None:
        """Read on from disk. `owned` are jobs that have a task already, whatever the store says of them."""
        self._missed = False
        found = await store.queued(self._queue, SIZE, [*owned, *self._weights])
        for job in found:
            if job.id not in self._weights and job.id not in owned:
                self._insert(job)
        is_all = len(found) < SIZE and sum(self._weights.get(job.id, HEAVIEST) for job in found) < HEAVIEST
        self._complete = is_all and not self._missed

    def _insert(self, job: Job) -> None:
        if not self._jobs or _order(self._jobs[-1]) < _order(job):
            self._jobs.append(job)  # most are the youngest of their priority
        else:
            insort(self._jobs, job, key=_order)
        self._weights[job.id] = weight(job.spec)
        self._weight += self._weights[job.id]
        while len(self._jobs) > 4 * SIZE or (self._weight > 4 * HEAVIEST and len(self._jobs) > 1):
            self._weight -= self._weights.pop(self._jobs.pop().id)  # the last ones can wait on disk
            self.miss()
