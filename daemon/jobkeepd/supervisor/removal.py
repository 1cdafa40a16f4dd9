"""Ended jobs are removed: from the store, then their output from the disk, also where a daemon died between the two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Job, Peer
from jobkeepd.errors import StorageFull, UnknownJob
from jobkeepd.store.removal_changes import ForgetLeftovers, Leftover, Removed, RemoveJobs
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.workshop import Workshop

PAGE = 200  # jobs whose output is deleted at once
MANY, HEAVY = 200, 5000  # jobs, and failed items and steps of them, that go in one transaction


class Removal:
    """The one way by which a job goes: for people and for retention."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop) -> None:
        self._dispatcher = dispatcher
        self._workshop = workshop
        self._store = workshop.store

    async def remove(self, ids: Sequence[str], by: Peer | None, reason: str | None = None) -> Removed:
        """Remove those that have ended, by their whole ids; those that are not there are no error.

        In several transactions where much hangs on them, so that nobody waits long. Returns once their output is gone.
        """
        there = [job for id in dict.fromkeys(ids) if (job := await self._find(id)) is not None]
        done = Removed(live=tuple(job for job in there if job.state not in ENDED_STATES))
        for some in parts([job for job in there if job.state in ENDED_STATES]):
            for job in some:  # it has ended in the store; who has followed its run is about to let go
                await self._dispatcher.leaving.left(job.id)
            at = self._workshop.clock.now()
            change = RemoveJobs(jobs=tuple(job.id for job in some), by=by, at=at, reason=reason)
            removed = await self._store.apply(change)
            await self._delete(removed.leftovers)
            done = Removed(done.ids + removed.ids, done.live + removed.live, done.leftovers + removed.leftovers)
        return done

    async def _find(self, id: str) -> Job | None:
        try:
            return self._store.cached(id) or await self._store.get(id)
        except UnknownJob:
            return None

    async def clear(self) -> None:
        """Delete what an earlier daemon did not come to."""
        while page := await self._store.leftovers(PAGE):
            if await self._delete(page) < len(page):
                return  # the next daemon tries again

    async def _delete(self, leftovers: Sequence[Leftover]) -> int:
        """How many of them are gone from the disk, and from the record."""
        if not leftovers:
            return 0
        gone = await self._workshop.discard({left.job: left.runs for left in leftovers})
        try:
            if gone:
                await self._store.apply(ForgetLeftovers(jobs=gone))
        except StorageFull:
            return 0
        return len(gone)


def parts(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Cut where a transaction would have too much to delete; one job is never cut."""
    part: list[Job] = []
    weight = 0
    for job in jobs:
        own = job.progress.failed_items + (0 if job.run is None else job.run.steps)
        if part and (len(part) == MANY or weight + own > HEAVY):
            yield part
            part, weight = [], 0
        part.append(job)
        weight += own
    if part:
        yield part
