"""Where in a job a request to stop takes effect.

Most requests do at the next call of the context, wherever that is. A drain is none of them: it waits until nothing
is lost by it, and takes a job only where a later run can go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobkeep.sdk.port import DRAIN, Port, stop_of


class Stops:
    """Of one run. `in_source` is set while a plain function's batch asks its source for the next item."""

    def __init__(self, port: Port) -> None:
        self.in_source = False
        self._port = port
        self._items = 0  # for_each calls with an item in work, or one that sees to it itself

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A batch is under way: it stops by itself, between two items."""
        self._items += 1
        try:
            yield
        finally:
            self._items -= 1

    @property
    def in_batch(self) -> bool:
        """A batch is under way."""
        return self._items > 0

    @property
    def pressing(self) -> bool:
        """A request that does not wait for a checkpoint."""
        return self._port.stop_reason not in (None, DRAIN)

    @property
    def in_sleep(self) -> bool:
        """Whether a job that sleeps is to end: there has to be a checkpoint to go on from."""
        if self._port.stop_reason != DRAIN:
            return self.pressing
        return self.in_source or (not self._items and self._can_go_on)

    def check(self) -> None:
        """Raises Stopped for a pressing request."""
        if self.pressing:
            self._stop()

    def check_in_sleep(self) -> None:
        """Raises Stopped if the sleep is to end."""
        if self.in_sleep:
            self._stop()

    def check_at_checkpoint(self) -> None:
        """Raises Stopped for any request; within an item a drain is left to the batch."""
        if self.pressing or (self._port.stop_reason is not None and not self._items):
            self._stop()

    @property
    def _can_go_on(self) -> bool:
        """A later run does not begin at the beginning."""
        return self._port.durable_seq > 0 or self._port.steps.durable > 0

    def _stop(self) -> None:
        raise stop_of(self._port)
