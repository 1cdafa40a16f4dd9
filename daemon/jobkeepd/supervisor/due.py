"""What the clock does to jobs that wait: those that are due are queued, those that have waited for too long fail."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import structlog

from jobkeepd.core.line import Rule
from jobkeepd.errors import StorageFailed, StorageFull
from jobkeepd.store.changes import MakeDue
from jobkeepd.store.queue_changes import UnblockLimited
from jobkeepd.store.wait_changes import EndWait, RedateWaits
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

LOOK = 10.0  # due times are UTC and clocks get set: look again at least this often
AGAIN = 1.0  # for a job whose start is on the way: it may not arrive
MANY = 1000


class Due:
    """Due times are UTC; how long a job waits is told by a clock that nobody sets."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop, rules: Mapping[str, Rule]) -> None:
        self._rules = rules
        self._dispatcher = dispatcher
        self._workshop = workshop
        self._store = workshop.store
        self._bell = anyio.Event()
        self._caught_up = False

    def poke(self) -> None:
        """There is a new time to look at."""
        self._bell.set()

    def limits_changed(self) -> None:
        """Whoever waits for one looks again."""
        self._caught_up = False
        self.poke()

    async def due_once(self) -> float:
        """Queue what is due; the seconds until it is worth looking again."""
        now = self._workshop.clock.now()
        for id in await self._store.apply(MakeDue(at=now, now=self._workshop.moment(), rules=self._rules)):
            self._dispatcher.offer(await self._store.get(id))
        following = await self._store.next_due()
        return LOOK if following is None else min(max(following - now, 0.0), LOOK)

    async def expire_once(self) -> float:
        """End the waiting of those that have waited for as long as they want to; the seconds as above."""
        await self._catch_up()
        overdue = await self._store.overdue(self._workshop.clock.monotonic(), MANY)
        if overdue:
            async with anyio.create_task_group() as ending:
                for id in overdue:
                    ending.start_soon(self._expire, id, name=f"wait of {id}")
        following = await self._store.next_overdue()
        if following is None:
            return LOOK
        return min(max(following - self._workshop.clock.monotonic(), AGAIN if overdue else 0.0), LOOK)

    async def _catch_up(self) -> None:
        """What waits since an earlier daemon: that had other limits, or another boot. Not as a part of the start, since
        on a full disk nobody could start then.
        """
        if self._caught_up:
            return
        await self._unblock_limited()
        while await self._store.apply(RedateWaits(at=self._workshop.clock.now(), now=self._workshop.moment())):
            pass  # in pieces, between which others have their turn
        self._caught_up = True

    async def _unblock_limited(self) -> None:
        label: str | None = ""
        while label is not None:
            label = await self._store.apply(UnblockLimited(at=self._workshop.clock.now(), after=label))

    async def _expire(self, id: str) -> None:
        task = self._dispatcher.tasks.get(id)
        if task is not None and task.withdraw():  # it is claimed, and waits behind a seat that is busy
            await task.ended()
        change = EndWait(job=id, at=self._workshop.clock.now(), now=self._workshop.moment())
        if await self._store.apply(change):
            log.info("queue_timeout", job=id)

    async def keep_looking(self) -> None:
        while True:
            self._bell = anyio.Event()
            try:
                delay = min(await self.due_once(), await self.expire_once())
            except StorageFull:
                delay = LOOK
            except StorageFailed:
                return  # the daemon has been told, and ends
            with anyio.move_on_after(delay):
                await self._bell.wait()
