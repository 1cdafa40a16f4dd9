"""When a failed job is tried again: exponential backoff with jitter."""

from __future__ import annotations

from typing import Final

CEILING: Final = 3600.0  # seconds; no backoff is longer


def retry_delay(base: float, attempts: int, jitter: float) -> float:
    """Seconds to wait after the `attempts`-th failure (counted from 1); `jitter` in [0, 1) is drawn by the caller.

    Doubles from `base` each time; jitter takes off up to a quarter, so that jobs that failed together do not
    come back together.
    """
    exponent = min(attempts - 1, 32)
    return float(min(base * 2**exponent, CEILING) * (1 - jitter / 4))
