"""Pure: how long there has been no daemon, and when to dial again."""

from __future__ import annotations

import math

from jobkeep.worker.settings import Settings


class Absence:
    """All times are monotonic. It begins with the process: nobody has answered yet."""

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._since = now
        self._backoff = settings.backoff_s
        self.dial_at = now

    def begin(self, now: float, *, for_long: bool) -> None:
        """The connection is gone; `for_long`: this daemon will never do, and another one may take its time."""
        self._since = -math.inf if for_long else now
        self.retry_later(now)

    def retry_later(self, now: float) -> None:
        """Nobody took the call."""
        self.dial_at = now + self._backoff
        self._backoff = min(self._backoff * 2, self._settings.backoff_limit_s)

    def interrupt(self) -> None:
        """A daemon has answered; whether for good will be seen."""
        self._backoff = self._settings.backoff_s

    def forget(self, now: float) -> None:
        """Count from now."""
        self._since = now

    def is_long(self, now: float) -> bool:
        """Long enough not to wait for a daemon any more, if there is nothing else to do."""
        return now >= self._since + self._settings.idle_s

    def due(self, now: float) -> list[float]:
        """When something is to be done about it."""
        long_at = self._since + self._settings.idle_s
        return [self.dial_at, long_at] if long_at > now else [self.dial_at]
