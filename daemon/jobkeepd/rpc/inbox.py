"""Messages on their way in: those that have been read and wait, and the beginning of one whose rest is to come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from jobkeep.protocol.framing import FrameSplitter

_EACH: Final = 64  # bytes that Python takes for a message beside its own


class Inbox:
    """Of one connection. `on_late` is called when the rest of a message does not come in time."""

    def __init__(
        self, limit: int, deadline: float, loop: asyncio.AbstractEventLoop, on_late: Callable[[], None]
    ) -> None:
        self._splitter = FrameSplitter(limit)
        self._deadline = deadline
        self._loop = loop
        self._on_late = on_late
        self._timer: asyncio.TimerHandle | None = None
        self._counted = 0
        self._over = False
        self.messages: deque[bytes] = deque()
        self.reading = True

    def begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def unfinished(self) -> int:
        """Bytes of the message whose rest is to come."""
        return self._splitter.pending

    @property
    def held(self) -> int:
        """Bytes: of what waits as it was when `count` was called; nothing of it once all has been taken."""
        return self._splitter.pending + (self._counted if self.messages else 0)

    def feed(self, data: bytes) -> None:
        """Raises MessageTooLarge."""
        messages = self._splitter.feed(data)
        self.messages.extend(messages)
        if self._timer is not None or self._splitter.pending:
            self._time(anew=bool(messages))

    def count(self) -> None:
        """All of it; once for all that are read together, since it takes a while where they are short."""
        self._counted = sum(map(len, self.messages)) + _EACH * len(self.messages)

    def pause(self) -> None:
        """For a turn of the loop, which makes no difference to the deadline."""
        self.reading = False
        self._transport.pause_reading()

    def read_on(self, reading: bool) -> bool:
        """Whether that is new. The rest of a message has a deadline as long as it is not us who do not read it."""
        if reading == self.reading or self._over:
            return False
        if reading:
            self.reading = True
            self._transport.resume_reading()
        else:
            self.pause()
        self._time(anew=not reading)
        return True

    def _time(self, anew: bool) -> None:
        if anew:
            self._untime()
        if self._splitter.pending and self.reading and self._timer is None:
            self._timer = self._loop.call_later(self._deadline, self._on_late)

    def end(self) -> None:
        """Nothing more is read."""
        self.read_on(False)
        self._over = True
        self._untime()

    def ended(self) -> None:
        """There is nothing more to read."""
        self._over = True
        self._untime()

    def clear(self) -> None:
        self.messages.clear()
        self._untime()

    def _untime(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
