"""Who wants to hear of which lock, and who waits for it: clients in the order in which they came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Ask:
    """One client that asks for a lock under a lease. Only the first of those that wait tries to take it."""

    def __init__(self, lease: str, queue: list[Ask]) -> None:
        self.lease = lease
        self.scope = anyio.CancelScope()  # cancelled when the lease is given up
        self._queue = queue
        self._news = anyio.Event()

    @property
    def is_first(self) -> bool:
        return self._queue[0] is self

    def wake(self) -> None:
        """The lock has changed, or it is this one's turn."""
        self._news.set()

    def heed(self) -> None:
        """What was to be told by now is known."""
        if self._news.is_set():
            self._news = anyio.Event()

    async def news(self) -> None:
        """Since `heed` was called last."""
        await self._news.wait()


class Interest:
    """In the locks of this moment; it dies with the daemon."""

    def __init__(self) -> None:
        self._events: dict[str, set[anyio.Event]] = {}
        self._queues: defaultdict[str, list[Ask]] = defaultdict(list)
        self._leases: defaultdict[str, set[Ask]] = defaultdict(set)

    @contextmanager
    def change(self, name: str) -> Iterator[anyio.Event]:
        """An event that is set when the lock is released or reset."""
        event = anyio.Event()
        self._events.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            left = self._events.get(name, set())
            left.discard(event)
            if not left:
                self._events.pop(name, None)

    def changed(self, name: str) -> None:
        for event in self._events.pop(name, ()):
            event.set()
        if name in self._queues:
            self._queues[name][0].wake()

    def all_changed(self) -> None:
        """Wake everybody."""
        for name in list(self._events):
            self.changed(name)
        for queue in self._queues.values():
            for ask in queue:
                ask.wake()

    @contextmanager
    def ask(self, name: str, lease: str) -> Iterator[Ask]:
        """Somebody asks for the lock under this lease, until the end of the block or of its scope."""
        queue = self._queues[name]
        ask = Ask(lease, queue)
        queue.append(ask)
        self._leases[lease].add(ask)
        try:
            with ask.scope:
                yield ask
        finally:
            self._leave(name, ask)

    def _leave(self, name: str, ask: Ask) -> None:
        self._forget(ask)
        queue = self._queues[name]
        was_first = queue[0] is ask
        queue.remove(ask)
        if not queue:
            del self._queues[name]
        elif was_first:
            queue[0].wake()

    def _forget(self, ask: Ask) -> None:
        asks = self._leases.get(ask.lease)
        if asks is not None:
            asks.discard(ask)
            if not asks:
                del self._leases[ask.lease]

    def is_asked(self, lease: str) -> bool:
        return lease in self._leases

    def give_up(self, lease: str) -> None:
        """Nobody asks under this lease any more, from now on."""
        for ask in list(self._leases.get(lease, ())):
            self._forget(ask)
            ask.scope.cancel()

    def count(self, name: str) -> int:
        """How many ask for the lock."""
        return len(self._queues.get(name, ()))
