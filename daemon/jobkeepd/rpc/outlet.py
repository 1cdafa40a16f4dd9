"""How a stream writes to its connection."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from jobkeepd.rpc.frames import continued
from jobkeepd.rpc.outbox import Outbox


class StreamOutlet:
    """Implements services.Outlet. After its end nothing is written any more."""

    def __init__(self, outbox: Outbox, drop: Callable[[str], None]) -> None:
        self._outbox = outbox
        self._drop = drop
        self._callbacks: list[Callable[[], None]] = []
        self._over = False

    def put(self, reply: Struct) -> None:
        if not self._over:
            self._outbox.write(continued(reply))
            self._outbox.flush_soon()

    async def send(self, reply: Struct) -> None:
        self.put(reply)
        await self._outbox.drained()

    def pour(self, frames: bytes) -> None:
        if not self._over:
            self._outbox.write(frames)
            self._outbox.flush()

    @property
    def unread(self) -> int:
        return self._outbox.unread

    def on_close(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def close(self) -> None:
        self._drop("replaced")

    def over(self) -> None:
        self._over = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
