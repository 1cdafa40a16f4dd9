"""The journal as a stream: from the store up to now, then as it grows, without a gap and without a repetition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from jobkeep.protocol import faults
from jobkeep.protocol.jobs import EventReply, EventsParameters
from jobkeepd.core.model import Entry, Peer
from jobkeepd.rpc.broadcast import Broadcast
from jobkeepd.rpc.faults import Refusal
from jobkeepd.rpc.services import Outlet, Services
from jobkeepd.rpc.views import event_view

PAGE: Final = 500


class Events:
    """All streams of them."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._broadcast = Broadcast(services.feed)

    async def events(self, asked: EventsParameters, peer: Peer, outlet: Outlet) -> None:
        job = None if asked.job is None else (await self._store.get(asked.job)).id
        if not asked.follow:
            from_first = asked.after is None and job is None
            at = await self._store.first_event() - 1 if from_first else asked.after or 0
            await self._from_store(at, job, outlet)
            return
        with self._broadcast.attended():
            at = await self._store.last_seq() if asked.after is None else asked.after
            while True:  # again where reading took so long that what came meanwhile is gone
                at = await self._from_store(at, job, outlet)
                with self._broadcast.followed(outlet, at, job) as place:
                    if place is None:
                        continue
                    await place.lost.wait()
                    raise Refusal(faults.SlowReader("the reader did not keep up with the journal", place.at))

    async def _from_store(self, at: int, job: str | None, outlet: Outlet) -> int:
        """What is stored behind `at`; the seq up to which that is all."""
        if job is not None:
            newest = await self._store.last_seq()
            await _send([entry for entry in await self._store.history(job) if at < entry.seq <= newest], outlet)
            return max(at, newest)
        while page := await self._store.entries(at, PAGE):
            if page[-1].seq != at + len(page):  # it has no gaps but those of what was pruned
                first = await self._store.first_event()
                raise Refusal(faults.EventsGone(f"events after {at} are not kept any more", at, first))
            await _send(page, outlet)
            at = page[-1].seq
            if len(page) < PAGE:
                break
        return at


async def _send(entries: Iterable[Entry], outlet: Outlet) -> None:
    for entry in entries:
        await outlet.send(EventReply(event_view(entry)))
