"""Retention: what ended long ago, and what is too many, goes in small steps, with its output and its history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import anyio
import structlog

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.retention import Keep, doomed, forgettable, light
from jobkeepd.errors import StorageFailed, StoreError
from jobkeepd.store.removal_changes import EraseRemoved, ForgetEvents, ForgetRequests
from jobkeepd.supervisor.removal import Removal
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.tidying import Tidying
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

STEP = 100  # jobs that go in one commit; other changes wait for it
ITEMS = 2000  # failed ones that go with them; a single job may have more
EVENTS = 500  # entries of the journal in one commit
REQUESTS = 500  # request ids that are looked at in one commit
ROWS = 2000  # that go in one commit, of a removed job that had too many to go at once
DAY = 86400.0  # seconds between two looks at all of them
PAUSE = 0.05  # seconds between two steps, for everybody else
REASON = "retention"
NOWHERE = (-1, "")


class Retention:
    """A pass goes through the queues, then through the journal; a step of it is one commit."""

    def __init__(self, removal: Removal, workshop: Workshop, queues: Mapping[str, QueueSettings]) -> None:
        self._removal = removal
        self._store = workshop.store
        self._clock = workshop.clock
        self._workshop = workshop
        self.queues = queues
        self._tidying = Tidying(workshop)
        self._behind = NOWHERE  # the last request id that was looked at
        self._looked_at: float | None = None  # at all of them
        self._reached: dict[str, float] = {}  # by queue: what ended before has been looked at in this pass

    def keep(self, queue: str) -> Keep:
        """Of a queue that is not configured any more as of those that say nothing."""
        own, general = self.queues.get(queue), self._workshop.retention
        age = general.keep_for if own is None or own.keep_for is None else own.keep_for
        count = general.keep_count if own is None or own.keep_count is None else own.keep_count
        return Keep(age, count)

    async def prune_once(self) -> int:
        """One step; how many jobs, entries or rows went. 0: the pass is over."""
        if await self._store.apply(EraseRemoved(limit=ROWS)):
            return ROWS
        ended: Counter[str] = Counter()
        for (queue, state), count in (await self._store.counts()).items():
            ended[queue] += count if state in ENDED_STATES else 0
        for queue, count in ended.items():
            if gone := await self._prune_queue(queue, count):
                return gone
        self._reached.clear()
        return await self._prune_journal() or await self._prune_requests()

    async def _prune_queue(self, queue: str, ended: int) -> int:
        keep, now = self.keep(queue), self._clock.now()
        until = float("inf") if keep.surplus(ended) else keep.since(now)
        oldest = await self._store.ended(queue, self._reached.get(queue, float("-inf")), until, STEP)
        jobs = light(doomed(oldest, ended, keep, now), ITEMS)
        if not jobs:
            return 0
        removed = await self._removal.remove([job.id for job in jobs], None, REASON)
        self._reached[queue] = jobs[-1].at
        return len(removed.ids)

    async def _prune_journal(self) -> int:
        keep = Keep(self._workshop.retention.keep_for, self._workshop.retention.keep_events)
        page = await self._store.entries(await self._store.first_event() - 1, EVENTS)
        through = forgettable(page, await self._store.last_seq(), keep, self._clock.now())
        if through is None:
            return 0
        await self._store.apply(ForgetEvents(through=through))
        return through - page[0].seq + 1

    async def _prune_requests(self) -> int:
        """They are as old as the jobs that they have made, at least: a look at all of them now and then will do."""
        age, now = self._workshop.retention.keep_for, self._clock.now()
        if not age or (self._looked_at is not None and 0 <= now - self._looked_at < DAY):
            return 0
        behind = await self._store.apply(ForgetRequests(since=now - age, limit=REQUESTS, behind=self._behind))
        self._behind = behind or NOWHERE
        if behind is None:
            self._looked_at = now
            return 0
        return REQUESTS

    async def keep_pruning(self) -> None:
        gone: int | None = None  # by the last step
        while True:
            try:
                if gone is None:
                    await self._removal.clear()
                gone = await self.prune_once() or await self._tidying.tidy_once()
            except StorageFailed:
                return  # the daemon has been told, and ends
            except (StoreError, OSError) as error:
                gone = 0
                log.warning("retention_postponed", error=str(error))
            await anyio.sleep(PAUSE if gone else self._workshop.retention.interval)
