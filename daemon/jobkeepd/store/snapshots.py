"""Jobs in memory as of the last commit: a window of those that changed most recently, bounded by count and weight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from jobkeepd.core.model import Job
from jobkeepd.core.weight import HEAVIEST, weight
from jobkeepd.store.base import JobFilter
from jobkeepd.store.run_steps import has_open_run

WALKED: Final = 200  # jobs that are looked at for a list: more may be quicker found by an index


class Snapshots:
    """Jobs with an open run are always here; of the others the `limit` that changed last, or fewer if they are heavy.

    Only commits put jobs in, never reads: a slow reader cannot bring back what a later commit has replaced.
    """

    def __init__(self, limit: int, last: int = 0) -> None:
        """`last`: the highest seq of all jobs so far."""
        self._limit = limit
        self._last = last
        self._open: dict[str, Job] = {}
        self._others: OrderedDict[str, Job] = OrderedDict()  # the one that changed last at the end
        self._weights: dict[str, int] = {}  # of the specs of these others
        self._weight = 0
        self._by_seq: dict[int, Job] = {}  # all of them

    def by_seq(self, seq: int) -> Job | None:
        return self._by_seq.get(seq)

    def get(self, id: str) -> Job | None:
        return self._open.get(id) or self._others.get(id)

    def newest(self, where: JobFilter) -> list[Job] | None:
        """The page that is asked for; None where that takes a job that is not here, or was removed."""
        found: list[Job] = []
        last = self._last if where.before is None else min(self._last, where.before - 1)
        for seq in range(last, max(last - WALKED, 0), -1):
            job = self._by_seq.get(seq)
            if job is None:
                return None
            if where.matches(job):
                found.append(job)
                if len(found) == where.limit:
                    return found
        return found if last <= WALKED else None

    def update(self, jobs: Iterable[Job], removed: Iterable[str] = ()) -> None:
        """`removed` are none of `jobs`."""
        for id in removed:
            gone = self._others.pop(id, None) or self._open.pop(id, None)  # its end may be of the same commit
            if gone is not None:
                self._weight -= self._weights.pop(id, 0)
                del self._by_seq[gone.seq]
        by_seq, others, weights = self._by_seq, self._others, self._weights
        for job in jobs:
            by_seq[job.seq] = job
            if job.seq > self._last:
                self._last = job.seq
            if has_open_run(job):
                self._open[job.id] = job
                if others.pop(job.id, None) is not None:
                    self._weight -= weights.pop(job.id)
            else:
                if job.id not in weights:  # a spec never changes
                    self._weight += weights.setdefault(job.id, weight(job.spec))
                others[job.id] = job
                others.move_to_end(job.id)
                self._open.pop(job.id, None)
        while len(others) > self._limit or self._weight > HEAVIEST:
            id, gone = others.popitem(last=False)
            self._weight -= weights.pop(id)
            del by_seq[gone.seq]
