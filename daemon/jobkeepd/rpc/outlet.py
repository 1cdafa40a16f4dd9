"""How a stream writes to its connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from jobkeepd.rpc.frames import continued


class Sink(Protocol):
    """The connection, as a stream sees it."""

    @property
    def writable(self) -> bool: ...

    def stream(self, frame: bytes) -> None: ...

    async def drained(self) -> None: ...

    def drop(self, why: str) -> None: ...


class StreamOutlet:
    """Implements services.Outlet. After its end nothing is written any more."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._callbacks: list[Callable[[], None]] = []
        self._over = False

    def put(self, reply: Struct) -> None:
        if not self._over:
            self._sink.stream(continued(reply))

    async def send(self, reply: Struct) -> None:
        self.put(reply)
        await self._sink.drained()

    @property
    def congested(self) -> bool:
        return not self._sink.writable

    def on_close(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def close(self) -> None:
        self._sink.drop("replaced")

    def over(self) -> None:
        self._over = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
