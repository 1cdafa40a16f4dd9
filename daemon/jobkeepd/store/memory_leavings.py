"""What removed jobs leave behind, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobkeepd.core.firing import Schedule
from jobkeepd.core.model import Job
from jobkeepd.store.removal_changes import Leftover


class MemoryLeavings:
    """The part of the ledger that takes things away; a job goes at once here, however much hangs on it."""

    jobs: dict[str, Job]
    schedules: dict[str, Schedule]

    def __init__(self) -> None:
        self.leftovers: dict[str, int] = {}
        self.environments: dict[str, bytes] = {}

    def erase(self, limit: int) -> bool:
        return False

    def forget_environments(self, is_used: Callable[[str], bool], behind: int, after: str, limit: int) -> str | None:
        page = sorted(hash for hash in self.environments if hash > after)[:limit]
        used = {job.environment for job in self.jobs.values() if job.seq > behind}
        used |= {schedule.terms.environment for schedule in self.schedules.values()}
        for hash in page:
            if not is_used(hash) and hash not in used:
                del self.environments[hash]
        return page[-1] if len(page) == limit else None

    def put_leftovers(self, leftovers: Sequence[Leftover]) -> None:
        self.leftovers.update((left.job, left.runs) for left in leftovers)

    def forget_leftovers(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            self.leftovers.pop(job, None)
