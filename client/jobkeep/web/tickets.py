"""Who may look: a ticket, shown once in the terminal, is exchanged for a pass that the browser keeps as a cookie."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from time import monotonic
from typing import Final

from jobkeep.web.toasts import Toast

LIFETIME_S: Final = 12 * 3600.0  # of a pass that nobody uses
_PASSES: Final = 64


class Visitor:
    """Whoever has a pass. `toasts`: what to tell them on the next page."""

    def __init__(self, seen: float) -> None:
        self.seen = seen
        self.toasts: list[Toast] = []

    def take_toasts(self) -> list[Toast]:
        """Each is told once."""
        toasts, self.toasts = self.toasts, []
        return toasts


class Tickets:
    """`announce` is called with each new ticket: one at the start, and one whenever the last was used."""

    def __init__(self, announce: Callable[[str], None], clock: Callable[[], float] = monotonic) -> None:
        self._announce = announce
        self._clock = clock
        self._ticket = b""
        self._visitors: dict[bytes, Visitor] = {}
        self.issue()

    def issue(self) -> None:
        """A new ticket; an older one is void."""
        ticket = secrets.token_urlsafe(24)
        self._ticket = _digest(ticket)
        self._announce(ticket)

    def exchange(self, ticket: str) -> str | None:
        """The pass for a ticket, which is used up by this; None for a wrong one."""
        if not secrets.compare_digest(_digest(ticket), self._ticket):
            return None
        granted = secrets.token_urlsafe(32)
        self._forget(_PASSES - 1)
        self._visitors[_digest(granted)] = Visitor(self._clock())
        self.issue()
        return granted

    def visitor(self, granted: str) -> Visitor | None:
        """Whose pass it is; None for one that is unknown or was not used for too long."""
        visitor = self._visitors.get(_digest(granted))
        now = self._clock()
        if visitor is None or now - visitor.seen > LIFETIME_S:
            return None
        visitor.seen = now
        return visitor

    def _forget(self, left: int) -> None:
        """Those whose time is over, and the longest unused ones beyond `left`."""
        now = self._clock()
        by_use = sorted(self._visitors.items(), key=lambda item: item[1].seen, reverse=True)
        self._visitors = {key: one for key, one in by_use[:left] if now - one.seen <= LIFETIME_S}


def _digest(text: str) -> bytes:
    # What is looked up is a digest, so that the time of a look-up tells nothing about the secret.
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
