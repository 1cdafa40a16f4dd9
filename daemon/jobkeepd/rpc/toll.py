"""What a connection pays for its messages, from the bucket that all connections of its user share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jobkeepd.core.quota import Bucket


class Toll:
    """Who cannot pay is not read from until he can: nothing is refused, and nobody else waits for it."""

    def __init__(self, bucket: Bucket | None, loop: asyncio.AbstractEventLoop, go_on: Callable[[], None]) -> None:
        self.bucket = bucket  # None: free
        self._loop = loop
        self._go_on = go_on
        self._timer: asyncio.TimerHandle | None = None

    def is_paid(self) -> bool:
        """For one message. If not, `go_on` is called when it is worth asking again."""
        if self.bucket is None:
            return True
        if self._timer is not None:
            return False
        delay = self.bucket.take(self._loop.time())
        if delay:
            self._timer = self._loop.call_later(delay, self._again)
        return not delay

    def _again(self) -> None:
        self._timer = None
        self._go_on()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
