"""The daemon as the pages ask it: pages of lists, and output from a place on."""

from __future__ import annotations

from typing import Final

from jobkeep.client import routes
from jobkeep.client.channel import Channel
from jobkeep.client.client import Client
from jobkeep.client.following import LogFollower
from jobkeep.client.routes import Request
from jobkeep.client.streaming import Streaming
from jobkeep.errors import NoRun
from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.jobs import (
    FailedItemsParameters,
    FailedItemsReply,
    ListParameters,
    ListReply,
    LogChunk,
)
from jobkeep.protocol.vocabulary import JobState, Stream
from jobkeep.web.model.filters import Filter
from jobkeep.web.model.log import STREAMS, Place

AWAY_S: Final = 2.0  # how long a request waits for a daemon that restarts; then the page says so
AT_ONCE: Final = 512 << 10  # bytes of output that are read in one go


class Connection(Client):
    """A client of one daemon, for everything that the dashboard shows and does."""

    def __init__(self, socket: str | None, autostart: bool | None = None) -> None:
        super().__init__(Channel(socket, autostart, restart_s=AWAY_S))

    @property
    def socket(self) -> str:
        """Of the daemon that is talked to."""
        return self._channel.path

    async def listed(self, filter: Filter, limit: int, states: tuple[JobState, ...] | None = None) -> ListReply:
        """A page of jobs, newest first; `states` in place of those of the filter."""
        wanted = states or filter.states
        asked = ListParameters(
            state=list(wanted) if wanted else None,
            queue=filter.queue or None,
            label=filter.labels or None,
            since_s=to_seconds(filter.since) if filter.since else None,
            limit=limit,
            before=filter.before,
        )
        return await self._channel.ask(Request(routes.LIST, asked))

    async def failed_page(self, id: str, after: int, limit: int) -> FailedItemsReply:
        """Some of the items that failed, and how many there are."""
        return await self._channel.ask(Request(routes.FAILED_ITEMS, FailedItemsParameters(id, after, limit)))

    async def last_lines(self, id: str, run: int, stream: Stream | None, lines: int) -> list[LogChunk]:
        """The end of the output of a run."""
        return await self._read(LogFollower(id, run, stream, lines, False))

    async def output(self, id: str, at: Place, stream: Stream | None) -> list[LogChunk]:
        """What has come since."""
        found: list[LogChunk] = []
        for each in STREAMS:
            if stream in (None, each):
                found += await self._read(_After(id, at.run, each, at.of(each)))
        return found

    async def _read(self, follower: LogFollower) -> list[LogChunk]:
        chunks: list[LogChunk] = []
        size = 0
        stream = Streaming(self._channel, follower)
        try:
            async for chunk in stream:
                chunks.append(chunk)
                size += len(chunk.data)
                if size >= AT_ONCE:
                    break
        except NoRun:  # not yet
            return []
        finally:
            await stream.aclose()
        return chunks


class _After(LogFollower):
    """One stream from an offset on."""

    def __init__(self, id: str, run: int, stream: Stream, offset: int) -> None:
        super().__init__(id, run, stream, None, False)
        self._ends[stream] = offset
