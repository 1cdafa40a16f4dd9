"""What nobody uses any more goes, once a day and in small steps: environments of no job, and files of seats that are
gone."""

from __future__ import annotations

from typing import Final

from jobkeepd.core.retention import Met
from jobkeepd.store.removal_changes import ForgetEnvironments
from jobkeepd.supervisor.workshop import Workshop

JOBS: Final = 2000  # of which one step sees which environments they use
ENVIRONMENTS: Final = 200  # that are judged in one commit
DAY: Final = 86400.0


class Tidying:
    """An environment is stored once for all jobs that have the same: a look at all of them tells which are in use."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._store = workshop.store
        self._done_at: float | None = None
        self._used = Met()
        self._behind = 0  # the last job that was looked at
        self._after: str | None = None  # the last environment that was judged; None while jobs are looked at

    async def tidy_once(self) -> int:
        """One step; how many things were looked at. 0: all of it is done for today."""
        now = self._workshop.clock.now()
        if self._done_at is not None and 0 <= now - self._done_at < DAY:
            return 0
        if seen := await self._tidy_environments():
            return seen
        if age := self._workshop.retention.keep_for:
            needed = set((await self._store.open_seats()).values())
            await self._workshop.clear_old(now - age, needed)
        self._done_at = now
        return 0

    async def _tidy_environments(self) -> int:
        if self._after is None:
            found, last = await self._store.environments_of(self._behind, JOBS)
            for hash in found:
                self._used.add(hash)
            if last is not None:
                self._behind = last
                return JOBS
            self._after = ""
        used = self._used
        change = ForgetEnvironments(
            is_used=lambda hash: hash in used, behind=self._behind, after=self._after, limit=ENVIRONMENTS
        )
        self._after = await self._store.apply(change)
        if self._after is not None:
            return ENVIRONMENTS
        self._used, self._behind = Met(), 0
        return 0
