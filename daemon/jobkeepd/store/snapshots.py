"""Jobs in memory as of the last commit: a bounded window of those that changed most recently."""

from __future__ import annotations

from collections.abc import Iterable

from jobkeepd.core.model import Job
from jobkeepd.store.run_steps import has_open_run


class Snapshots:
    """Jobs with an open run are always here; of the others the `limit` that changed last.

    Only commits put jobs in, never reads: a slow reader cannot bring back what a later commit has replaced.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, Job] = {}
        self._others: dict[str, Job] = {}

    def get(self, id: str) -> Job | None:
        return self._open.get(id) or self._others.get(id)

    def update(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if has_open_run(job):
                self._open[job.id] = job
                self._others.pop(job.id, None)
            else:
                self._others.pop(job.id, None)  # to the young end
                self._others[job.id] = job
                self._open.pop(job.id, None)
        for id in [id for id, _ in zip(self._others, range(len(self._others) - self._limit), strict=False)]:
            del self._others[id]
