"""The right of a start to go on, by its own clock; and the port of a function that has it no longer than that."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.port import LEASE_LOST
from jobkeep.worker.messenger import Messenger
from jobkeep.worker.port import WorkerPort

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def passed() -> float:
    """Seconds, with those that the host was suspended for: its bridge may be on another one, and has counted them."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Lasts from the newest sign of life that the bridge has heard, at the moment that it was given here.

    So it never ends later than the bridge believes. The moment at which the bridge's word arrives would not do: a
    process that has stood still finds words in its socket that are as old as its sleep.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = passed) -> None:
        self._seconds = seconds
        self._clock = clock
        self._from = clock()
        self._signs: deque[tuple[int, float]] = deque()  # not heard yet, as far as is known here

    def gives(self, number: int, at: float) -> None:
        """A sign of life is given in the message of that number."""
        self._signs.append((number, at))

    def heard(self, number: int) -> None:
        """The bridge has all messages up to that number."""
        while self._signs and self._signs[0][0] <= number:
            self._from = self._signs.popleft()[1]

    def now(self) -> float:
        return self._clock()

    @property
    def left(self) -> float:
        """Seconds; none or less once it is over."""
        return self._from + self._seconds - self._clock()

    @property
    def is_over(self) -> bool:
        return self.left <= 0


class LeasedPort(WorkerPort):
    """Ends with the lease, whether or not anybody has got round to saying so."""

    def __init__(self, order: RunOrder, messenger: Messenger, lease: Lease) -> None:
        self._lease = lease
        super().__init__(order, messenger)

    @property
    def stop_reason(self) -> str | None:
        return LEASE_LOST if self.fenced else self._reason

    @stop_reason.setter
    def stop_reason(self, reason: str | None) -> None:
        self._reason = reason

    @property
    def fenced(self) -> bool:
        return self._is_fenced or self._lease.is_over

    @fenced.setter
    def fenced(self, is_fenced: bool) -> None:
        self._is_fenced = is_fenced
