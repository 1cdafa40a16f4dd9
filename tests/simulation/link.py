"""Between a worker and a daemon: a connection, and the runs that came over it."""

from __future__ import annotations

from collections import deque

import trio

from jobkeep.protocol import worker as wire


class Link:
    """One connection to a daemon, closed by either end."""

    def __init__(self) -> None:
        self.closed = trio.Event()
        self.orders: deque[wire.Order] = deque()
        self.bell = trio.Event()

    def put(self, order: wire.Order) -> None:
        self.orders.append(order)
        self.bell.set()

    def close(self) -> None:
        self.closed.set()
        self.bell.set()


class Active:
    """One run that the worker was given."""

    def __init__(self, order: wire.RunOrder) -> None:
        self.order = order
        self.begun = False
        self.stop: str | None = None
        self.stopping = trio.Event()
        self.ticks = 0

    def ask_to_stop(self, reason: str) -> None:
        if self.stop in (None, "drain"):
            self.stop = reason
            if reason != "drain":
                self.stopping.set()
