"""Replies on their way out: gathered into few writes, and never more than the reader takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

FLUSH_AT: Final = 64 << 10  # bytes of replies that are worth a write of their own


class Outbox:
    """Of one connection. `on_slow` is called when the reader does not drain it in time, `on_heavy` when it is large:
    with whether all of it has been written just now, so that the reader may well be at it.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        drain_deadline: float,
        on_slow: Callable[[], None],
        on_heavy: Callable[[bool], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._drain_deadline = drain_deadline
        self._on_slow = on_slow
        self._on_heavy = on_heavy
        self._frames: list[bytes] = []
        self._size = 0
        self._flush_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self.writable = True

    @property
    def unread(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._size + self._transport.get_write_buffer_size()

    def write(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        self._flush_is_due = False
        frames = self._frames
        if not frames or self._transport.is_closing():
            return
        written, self._frames = self._size, []
        self._size = 0
        self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        if (unread := self._transport.get_write_buffer_size()) > FLUSH_AT:
            self._on_heavy(unread <= written)

    def flush_soon(self) -> None:
        """Together with what else this turn of the loop brings."""
        if self._frames and not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self.flush)

    def paused(self) -> None:
        """The transport holds as much as it may."""
        self.writable = False
        self._time(self._on_slow)

    def resumed(self) -> None:
        self.writable = True
        self.untime()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Wait while the reader has too much unread; after a large write, let others have a turn in any case."""
        if self._size == 0:
            await asyncio.sleep(0)
        while not self.writable:
            self._drained = self._loop.create_future()
            await self._drained

    def close(self) -> None:
        """Send the rest, within the deadline, then close."""
        self.flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._time(self._transport.abort)

    def untime(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time(self, action: Callable[[], None]) -> None:
        self.untime()
        self._timer = self._loop.call_later(self._drain_deadline, action)
