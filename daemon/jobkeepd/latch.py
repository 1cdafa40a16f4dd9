"""A value that comes once. Cheaper than an event and a field: most are set before anybody waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class Latch(Generic[T]):
    """Whoever waits is woken, whoever asked is called; the first value stays. For one event loop."""

    __slots__ = ("_callbacks", "_event", "_value", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._event: anyio.Event | None = None
        self._callbacks: list[Callable[[T], None]] | None = None

    def set(self, value: T) -> None:
        if self.is_set:
            return
        self.is_set = True
        self._value = value
        if self._event is not None:
            self._event.set()
        for callback in self._callbacks or ():
            callback(value)

    def value(self) -> T:
        """Only once it is set."""
        return self._value

    async def wait(self) -> T:
        if not self.is_set:
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
        return self._value

    def then(self, callback: Callable[[T], None]) -> None:
        """Call `callback` with the value: now if it is there, else when it comes."""
        if self.is_set:
            callback(self._value)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)
