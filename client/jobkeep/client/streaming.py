"""What is read by `async for`: streams and pages.

Classes rather than generators: leaving a loop early must need no `aclosing`, which trio asks for otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Generic, TypeVar

from jobkeep.client.channel import Channel
from jobkeep.client.following import Follower
from jobkeep.client.patience import BREAKS
from jobkeep.client.routes import Request
from jobkeep.client.transport import Link
from jobkeep.errors import JobkeepError, NoRun

R = TypeVar("R")
T = TypeVar("T")


class Streaming(AsyncIterator[T], Generic[R, T]):
    """What a stream brings until it ends, or `until` says so of an item; after a break it goes on where it was."""

    def __init__(
        self,
        channel: Channel,
        follower: Follower[R, T],
        until: Callable[[T], Awaitable[bool]] | None = None,
        may_begin: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._channel = channel
        self._follower = follower
        self._until = until
        self._may_begin = may_begin  # whether to ask again after NoRun
        self._patience = channel.patience()
        self._began = 0.0
        self._request: Request[R]
        self._link: Link | None = None
        self._ready: deque[T] = deque()
        self._latest: T | None = None
        self._ended = False

    async def __anext__(self) -> T:
        if self._latest is not None and self._until is not None and await self._until(self._latest):
            await self.aclose()
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            await self._read()
        self._latest = item = self._ready.popleft()
        return item

    async def aclose(self) -> None:
        """End it here; leaving the loop does so, too, in due time."""
        self._ended = True
        self._ready.clear()
        self._let_go()

    def __del__(self) -> None:
        with suppress(RuntimeError):  # the event loop is gone, and its connections with it
            self._let_go()

    async def _read(self) -> None:
        try:
            part, more = self._request.part(await self._link.next_reply()) if self._link else await self._ask()
        except BREAKS as error:
            self._let_go()
            await self._channel.bear(self._patience, error, self._began)
            return
        except NoRun:
            self._let_go()
            self._ended = self._may_begin is None or not await self._may_begin()
            if self._may_begin is None:
                raise
            return
        except BaseException as error:
            self._let_go()  # after a cancellation the next read asks again
            self._ended = isinstance(error, JobkeepError)
            raise
        if part is not None:
            self._ready.extend(self._follower.take(part))
        if not more:
            self._ended = True
            self._ready.extend(self._follower.finish())
            link, self._link = self._link, None
            if link is not None:
                self._channel.give_back(link)

    async def _ask(self) -> tuple[R | None, bool]:
        self._began = monotonic()
        self._request = self._follower.request()
        self._link = await self._channel.borrow()
        return self._request.part(await self._link.call(self._request.frame(more=True)))

    def _let_go(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._channel.drop(link)


class Paging(AsyncIterator[T]):
    """Items that come page by page; an empty page is the end."""

    def __init__(self, next_page: Callable[[], Awaitable[Sequence[T]]]) -> None:
        self._next_page = next_page
        self._ready: deque[T] = deque()

    async def __anext__(self) -> T:
        if not self._ready:
            self._ready.extend(await self._next_page())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()
