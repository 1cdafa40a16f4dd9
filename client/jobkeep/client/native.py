"""The transport on asyncio: no task and no copy per call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar, cast

from jobkeep.client.plain import REPLY_LIMIT
from jobkeep.client.transport import connect
from jobkeep.errors import ConnectionLost, JobkeepError
from jobkeep.protocol.framing import FrameSplitter

T = TypeVar("T")

_FULL = 256  # replies that nobody has taken yet: stop reading


class AsyncioLink(asyncio.Protocol):
    """One connection; see transport.Link."""

    def __init__(self, path: str, silence_s: float | None) -> None:
        self._path = path
        self._silence = silence_s
        self._splitter = FrameSplitter(REPLY_LIMIT)
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._early: deque[bytes] = deque()  # replies of a stream that were not asked for yet
        self._failure: JobkeepError | None = None
        self._transport: asyncio.Transport
        self._write: Callable[[bytes], None]
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._heard = True
        self._paused = False

    @property
    def closed(self) -> bool:
        return self._failure is not None

    def call(self, frame: bytes) -> Awaitable[bytes]:
        future = self._loop.create_future()
        if self._early:
            self._fail(ConnectionLost(self._path, "it sent a reply that nobody asked for"))
        if self._failure is not None:
            future.set_exception(self._again())
            return future
        self._waiting.append(future)
        self._write(frame)
        if self._silence is not None and self._watch is None:
            self._heard = True  # the silence begins with the first look
            self._watch = self._loop.call_later(self._silence, self._listen)
        return future

    def next_reply(self) -> Awaitable[bytes]:
        future = self._loop.create_future()
        if self._early:
            future.set_result(self._early.popleft())
            if self._paused and not self._early:
                self._paused = False
                self._transport.resume_reading()
        elif self._failure is not None:
            future.set_exception(self._again())
        else:
            self._waiting.append(future)
        return future

    def close(self) -> None:
        self._fail(ConnectionLost(self._path, "this client was closed meanwhile"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            messages = self._splitter.feed(data)
        except JobkeepError as error:
            self._fail(error)
            return
        waiting = self._waiting
        for message in messages:
            if not waiting:
                self._early.append(message)
                continue
            future = waiting.popleft()
            if not future.done():  # a cancelled call's reply ends here
                future.set_result(message)
        if len(self._early) >= _FULL and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        why = "it closed the connection" if error is None else str(error)
        self._fail(ConnectionLost(self._path, why))

    def _fail(self, error: JobkeepError) -> None:
        if self._failure is not None:
            return
        self._failure = error
        if self._watch is not None:
            self._watch.cancel()
        self._transport.abort()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._again())

    def _again(self) -> JobkeepError:
        """The failure, as an exception of its own for each who waits: a shared one would chain their tracebacks."""
        failure = self._failure
        if isinstance(failure, ConnectionLost):
            return ConnectionLost(self._path, failure.why)
        assert failure is not None
        return failure

    def _listen(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        if not self._heard:
            self._fail(ConnectionLost(self._path, f"no answer within {self._silence:g} s"))
            return
        self._heard = False
        assert self._silence is not None
        self._watch = self._loop.call_later(self._silence, self._listen)


class AsyncioNetwork:
    """See transport.Network."""

    async def dial(self, path: str, silence_s: float | None) -> AsyncioLink:
        sock = await connect(path, asyncio.sleep)
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: AsyncioLink(path, silence_s), sock=sock)
        return link

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)

    def from_thread(self, function: Callable[[], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def call() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(function)

        return call
