"""The journal as a stream: from the store up to now, then from the feed, without a gap and without a repetition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import anyio

from jobkeep.protocol import faults
from jobkeep.protocol.jobs import EventReply, EventsParameters
from jobkeepd.core.model import Entry, Peer
from jobkeepd.rpc.faults import Refusal
from jobkeepd.rpc.services import Outlet, Services
from jobkeepd.rpc.views import event_view

PAGE: Final = 500


async def events(services: Services, asked: EventsParameters, peer: Peer, outlet: Outlet) -> None:
    job = None if asked.job is None else (await services.store.get(asked.job)).id
    await _Reader(services, outlet, job).run(asked.after, asked.follow)


class _Reader:
    """One stream. `_at` is the seq up to which the reader has everything."""

    def __init__(self, services: Services, outlet: Outlet, job: str | None) -> None:
        self._store = services.store
        self._feed = services.feed
        self._outlet = outlet
        self._job = job
        self._at = 0
        self._news = anyio.Event()
        self._slow = False

    async def run(self, after: int | None, follow: bool) -> None:
        if not follow:
            self._at = after or 0
            await self._from_store()
            return
        while True:  # again after a burst that was more than the feed keeps for one subscriber
            self._subscription = self._feed.subscribe(self._notice)
            try:
                self._at = await self._store.last_seq() if after is None else max(after, self._at)
                await self._from_store()
                await self._from_feed()
            finally:
                self._feed.unsubscribe(self._subscription)
            if self._slow:
                raise Refusal(faults.SlowReader("the reader did not keep up with the journal", self._at))
            after = self._at

    def _notice(self) -> None:
        if self._subscription.overflowed and self._outlet.congested:
            self._slow = True
        self._news.set()

    async def _from_store(self) -> None:
        if self._job is not None:
            await self._send(await self._store.history(self._job))
            return
        while page := await self._store.entries(self._at, PAGE):
            await self._send(page)
            if len(page) < PAGE:
                return

    async def _from_feed(self) -> None:
        """Until the feed has dropped something."""
        while not self._subscription.overflowed:
            self._news = anyio.Event()
            await self._send(self._subscription.take())
            if not self._subscription.overflowed:
                await self._news.wait()

    async def _send(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.seq <= self._at:
                continue
            if self._job is None or entry.job == self._job:
                await self._outlet.send(EventReply(event_view(entry)))
            self._at = entry.seq
