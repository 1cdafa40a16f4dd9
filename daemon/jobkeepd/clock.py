"""The only place where clocks are read."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """UTC seconds since 1970: for people and due times. Jumps when somebody sets the clock."""

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC seconds: for ages, leases and timeouts. Deaf to clock changes, stops in suspend."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
