"""How much of the daemon one user may take: pure. Times are seconds of a clock that does not jump."""

from __future__ import annotations

from msgspec import Struct

from jobkeepd.core.authz import Access, Role
from jobkeepd.errors import DaemonError


class LimitReached(DaemonError):
    """A user has as much of something as one may have. `limit` is the key of the configuration, in [access]."""

    def __init__(self, uid: int, limit: str, most: int, what: str) -> None:
        super().__init__(f"user {uid} has {what}, and {limit} is {most}")
        self.uid = uid
        self.limit = limit
        self.most = most


class Quota(Struct, frozen=True):
    """What each user may have, but for those who administer. 0 is any number."""

    connections: int = 256  # at once
    message_rate: float = 0.0  # per second
    queued: int = 0  # jobs that have not been started
    log_bytes: int = 0  # of runs that are under way

    def queued_of(self, uid: int, access: Access) -> int | None:
        """None where there is no limit."""
        return None if _administers(uid, access) else self.queued or None

    def log_bytes_of(self, uid: int, access: Access) -> int | None:
        """None where there is no limit."""
        return None if _administers(uid, access) else self.log_bytes or None


def _administers(uid: int, access: Access) -> bool:
    return access.users.get(uid) is Role.ADMIN or uid == 0


def check_queued(uid: int, waiting: int, more: int, most: int | None) -> None:
    """Raises LimitReached where `more` jobs would be too many."""
    if most is not None and waiting + more > most:
        raise LimitReached(uid, "max_queued", most, f"{waiting} jobs that wait")


class Bucket:
    """Tokens that come at a rate, and gather while nobody takes any, for `BURST` seconds."""

    BURST = 2.0

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._most = max(rate * self.BURST, 1.0)
        self._tokens = self._most
        self._at = now

    def take(self, now: float) -> float:
        """Take one; or the seconds after which there will be one, and none is taken."""
        self._tokens = min(self._most, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self.rate
