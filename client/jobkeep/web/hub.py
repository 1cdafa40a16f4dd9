"""One subscription to the daemon for all open pages: it says when to look, and what is looked at is looked at once.

The journal tells of every change of state, but not of progress, which may come a thousand times a second. So pages
on which something moves look twice a second, others when there was an event, and never more often than the beat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

import anyio

from jobkeep.errors import JobkeepError
from jobkeep.protocol.admin import StatusReply
from jobkeep.protocol.jobs import Event

T = TypeVar("T")

BEAT_S: Final = 0.25  # pages change four times a second at most
MOVING_S: Final = 0.5  # between two looks while something moves
STILL_S: Final = 10.0  # and while nothing does: times grow old
RETRY_S: Final = 1.0  # between two attempts to reach a daemon that is gone
_STIR: Final = 4  # beats after a new subscription at which all is looked at: nobody knows when it began
_KNOWN: Final = 10_000  # jobs whose last change is remembered
_KEPT: Final = 256  # answers that are kept until their job changes


class Source(Protocol):
    """What is asked of a client."""

    def events(self, after: int | None = None, follow: bool = False) -> AsyncIterator[Event]: ...

    async def status(self) -> StatusReply: ...


class Listener:
    """One open page. `moving`: something on it does."""

    def __init__(self) -> None:
        self.moving = False
        self._stirred = anyio.Event()

    def stir(self) -> None:
        """There may be something new."""
        self._stirred.set()

    async def stirred(self, timeout: float) -> bool:
        """Wait for it; False when the time is over."""
        with anyio.move_on_after(timeout):
            await self._stirred.wait()
            self._stirred = anyio.Event()
            return True
        return False


class Hub:
    """`away` says why no daemon answers, and is None while one does."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.away: str | None = None
        self.closed = False
        self.subscriptions = 0
        self.looks = 0
        self._listeners: set[Listener] = set()
        self._opened = anyio.Event()
        self._following: anyio.CancelScope | None = None
        self._shared: dict[Hashable, _Look] = {}
        self._kept: dict[Hashable, tuple[int, Any]] = {}
        self._paced: dict[Hashable, tuple[float, Any]] = {}
        self._versions: dict[str, int] = {}
        self._oldest_version = 0
        self._changed = False
        self._stir = 0
        self._looked = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen to the daemon for as long as the block lasts."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_while_open)
            group.start_soon(self._beat)
            yield
            group.cancel_scope.cancel()

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """While a page is open. Without any there is no subscription either."""
        listener = Listener()
        self._listeners.add(listener)
        self._opened.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._shared.clear()  # nobody says any more when it is old
                self._opened = anyio.Event()
                if self._following is not None:
                    self._following.cancel()

    async def shared(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        """What `look` returns, asked once per beat for all pages with this key."""
        while True:
            entry = self._shared.get(key)
            if entry is None:
                entry = self._shared[key] = _Look()
                self.looks += 1
                try:
                    found: T = await entry.run(look)
                except BaseException:
                    if self._shared.get(key) is entry:
                        del self._shared[key]
                    raise
                return found
            await entry.done.wait()
            if entry.error is not None:
                raise entry.error
            if not entry.abandoned:
                value: T = entry.value
                return value

    async def kept(self, key: Hashable, job: str, look: Callable[[], Awaitable[T]]) -> T:
        """What `look` returns, asked again only when there was an event of the job."""
        version = self._versions.get(job, self._oldest_version)
        known = self._kept.get(key)
        if known is not None and known[0] == version:
            value: T = known[1]
            return value
        value = await look()
        if self._listeners:  # else nobody tells of events
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (version, value)
        return value

    async def paced(self, key: Hashable, seconds: float, look: Callable[[], Awaitable[T]]) -> T:
        """What `look` returned, unless that is older than so many seconds: for looks that are dear."""
        known = self._paced.get(key)
        if known is not None and monotonic() - known[0] < seconds:
            value: T = known[1]
            return value
        value = await look()
        self._paced[key] = (monotonic(), value)
        return value

    def note(self, event: Event) -> None:
        """The daemon tells of something."""
        self._changed = True
        if event.job is not None:
            if len(self._versions) >= _KNOWN:
                self._versions.clear()
                self._oldest_version = event.seq
            self._versions[event.job] = event.seq

    def gone(self, error: JobkeepError) -> None:
        """The daemon does not answer."""
        self.away = str(error)
        self._changed = True

    def close(self) -> None:
        """The dashboard is about to end: so do the streams of its pages."""
        self.closed = True
        for listener in self._listeners:
            listener.stir()

    def beat_once(self, now: float) -> bool:
        """-> whether the pages were told to look."""
        if not self._listeners:
            return False
        patience = MOVING_S if any(listener.moving for listener in self._listeners) else STILL_S
        if not (self._changed or self._stir or now - self._looked >= patience):
            return False
        self._looked, self._changed, self._stir = now, False, max(0, self._stir - 1)
        self._shared.clear()
        for listener in self._listeners:
            listener.stir()
        return True

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(BEAT_S)
            self.beat_once(monotonic())

    async def _follow_while_open(self) -> None:
        while True:
            await self._opened.wait()
            with anyio.CancelScope() as self._following:
                await self._follow()
            self._following = None

    async def _follow(self) -> None:
        """Until the last page is closed."""
        while True:
            self._kept.clear()  # what has changed meanwhile, nobody has told
            self._stir = _STIR
            self.subscriptions += 1
            try:
                async for event in self._source.events(follow=True):
                    self.note(event)
            except JobkeepError as error:
                self.gone(error)
            await self._return_of_the_daemon()

    async def _return_of_the_daemon(self) -> None:
        while self.away is not None:
            await anyio.sleep(RETRY_S)
            try:
                await self._source.status()
            except JobkeepError as error:
                self.away = str(error)
            else:
                self.away = None


class _Look:
    """One look that several pages wait for. Abandoned: the page that looked was closed, and somebody else has to."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.value: Any = None
        self.error: Exception | None = None
        self.abandoned = False

    async def run(self, look: Callable[[], Awaitable[Any]]) -> Any:
        try:
            self.value = await look()
        except Exception as error:
            self.error = error
            raise
        except BaseException:
            self.abandoned = True
            raise
        finally:
            self.done.set()
        return self.value
