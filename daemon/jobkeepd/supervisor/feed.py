"""In-memory fan-out of the journal: bounded for every subscriber, gap-free for those who keep up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from jobkeepd.core.model import Entry

CAPACITY: Final = 1024


class Subscription:
    """What one watcher has not read yet. `wake` is called when there is something new."""

    def __init__(self, wake: Callable[[], None], capacity: int | None) -> None:
        self._entries: deque[Entry] = deque()
        self._wake = wake
        self._capacity = capacity
        self.overflowed = False  # entries were dropped: the watcher must read them from the store

    def push(self, entries: Sequence[Entry]) -> None:
        if self.overflowed:
            return
        if self._capacity is not None and len(self._entries) + len(entries) > self._capacity:
            self.overflowed = True
            self._entries.clear()
        else:
            self._entries.extend(entries)
        self._wake()

    def take(self) -> list[Entry]:
        taken = list(self._entries)
        self._entries.clear()
        return taken


class Feed:
    """Publishes journal entries, in order, after their commit."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, entries: Sequence[Entry]) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.push(entries)

    def subscribe(self, wake: Callable[[], None], capacity: int | None = CAPACITY) -> Subscription:
        """`capacity`: how many entries are kept for one who does not take them; None for one who always does."""
        subscription = Subscription(wake, capacity)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
