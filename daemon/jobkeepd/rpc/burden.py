"""What one connection keeps in memory, and for how long it has done so."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

WORTH_IT: Final = 64 << 10  # bytes more, that all connections of a user are weighed for


class Burden:
    """`held`: bytes, now. `weigh` is called whenever it has become much more, so that no growth goes unseen."""

    def __init__(self, held: Callable[[], int], weigh: Callable[[], None], loop: AbstractEventLoop) -> None:
        self._held = held
        self._weigh = weigh
        self._loop = loop
        self._weighed = 0
        self._since = loop.time()

    @property
    def seconds(self) -> float:
        """Since it was little."""
        return self._loop.time() - self._since

    def look(self) -> None:
        held = self._held()
        if held <= WORTH_IT:
            self._since = self._loop.time()
        if held > self._weighed + WORTH_IT:
            self._weighed = held
            self._weigh()
        else:
            self._weighed = min(self._weighed, held)

    def written(self, all_of_it: bool) -> None:
        """The reader has much unread: `all_of_it` since this moment."""
        if all_of_it:
            self._since = self._loop.time()
        self._weigh()
