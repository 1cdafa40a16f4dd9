"""The transport on anyio, which serves trio: whoever waits for a reply reads, so it needs no task of its own."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.to_thread

from jobkeep.client.plain import REPLY_LIMIT
from jobkeep.client.transport import connect
from jobkeep.errors import ConnectionLost, DaemonUnreachable, JobkeepError
from jobkeep.protocol.framing import FrameSplitter

T = TypeVar("T")

_CHUNK = 1 << 16  # a larger buffer would be mapped and unmapped by malloc for each read
_SEND_S = 30.0  # a daemon that takes no bytes for so long hangs


class _Slot:
    """One awaited reply."""

    __slots__ = ("abandoned", "message", "wake")

    def __init__(self) -> None:
        self.message: bytes | None = None
        self.wake = anyio.Event()
        self.abandoned = False


class AnyioLink:
    """One connection; see transport.Link."""

    def __init__(self, path: str, sock: socket.socket, silence_s: float | None) -> None:
        self._path = path
        self._socket = sock
        self._silence = silence_s
        self._splitter = FrameSplitter(REPLY_LIMIT)
        self._waiting: deque[_Slot] = deque()
        self._early: deque[bytes] = deque()
        self._sending = anyio.Lock()
        self._reading = False
        self._failure: JobkeepError | None = None

    @property
    def closed(self) -> bool:
        return self._failure is not None

    async def call(self, frame: bytes) -> bytes:
        async with self._sending:
            if self._early:
                self._fail(ConnectionLost(self._path, "it sent a reply that nobody asked for"))
            self._check()
            slot = _Slot()
            self._waiting.append(slot)
            await self._send(frame)
        return await self._reply(slot, self._silence)

    async def next_reply(self) -> bytes:
        if self._early:
            return self._early.popleft()
        self._check()
        slot = _Slot()
        self._waiting.append(slot)
        return await self._reply(slot, None)

    def close(self) -> None:
        self._fail(ConnectionLost(self._path, "this client was closed meanwhile"))

    async def _send(self, frame: bytes) -> None:
        """All of it, cancelled or not: half a message would spoil the connection for every other call."""
        view = memoryview(frame)
        with anyio.move_on_after(_SEND_S, shield=True) as scope:
            while view and self._failure is None:
                try:
                    view = view[self._socket.send(view) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._socket)
                except OSError as error:
                    self._fail(ConnectionLost(self._path, error.strerror or str(error)))
                    raise DaemonUnreachable(self._path, str(error)) from None  # half a message has no effect
        if scope.cancelled_caught:
            self._fail(ConnectionLost(self._path, f"it takes no message within {_SEND_S:g} s"))
        self._check()

    async def _reply(self, slot: _Slot, silence_s: float | None) -> bytes:
        scope = anyio.CancelScope() if silence_s is None else anyio.move_on_after(silence_s)
        try:
            with scope:
                while slot.message is None:
                    self._check()
                    if self._reading:
                        await slot.wake.wait()
                        slot.wake = anyio.Event()
                    else:
                        await self._read()
        finally:
            if slot.message is None:
                slot.abandoned = True
                self._pass_on()
        if slot.message is None:
            self._fail(ConnectionLost(self._path, f"no answer within {silence_s:g} s"))
            self._check()
        assert slot.message is not None
        return slot.message

    async def _read(self) -> None:
        self._reading = True
        try:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                return
            self._take(data)
        except (OSError, anyio.ClosedResourceError) as error:
            self._fail(ConnectionLost(self._path, str(error)))
        except JobkeepError as error:
            self._fail(error)
        finally:
            self._reading = False
            self._pass_on()

    def _take(self, data: bytes) -> None:
        if not data:
            self._fail(ConnectionLost(self._path, "it closed the connection"))
        for message in self._splitter.feed(data):
            if not self._waiting:
                self._early.append(message)
                continue
            slot = self._waiting.popleft()
            slot.message = message
            slot.wake.set()

    def _pass_on(self) -> None:
        """Wake one who waits: the reading is theirs now."""
        for slot in self._waiting:
            if not slot.abandoned:
                slot.wake.set()
                return

    def _check(self) -> None:
        failure = self._failure
        if isinstance(failure, ConnectionLost):  # each who waits gets an exception of their own
            raise ConnectionLost(self._path, failure.why)
        if failure is not None:
            raise failure

    def _fail(self, error: JobkeepError) -> None:
        if self._failure is None:
            self._failure = error
            anyio.notify_closing(self._socket)
            self._socket.close()
            for slot in self._waiting:
                slot.wake.set()


class AnyioNetwork:
    """See transport.Network."""

    async def dial(self, path: str, silence_s: float | None) -> AnyioLink:
        return AnyioLink(path, await connect(path, anyio.sleep), silence_s)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def in_thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True)

    def from_thread(self, function: Callable[[], None]) -> Callable[[], None]:
        import trio  # anyio asks for a worker thread of its own

        token = trio.lowlevel.current_trio_token()

        def call() -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(function)

        return call
