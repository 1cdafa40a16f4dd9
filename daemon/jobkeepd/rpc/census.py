"""All connections together: how many there are, what they hold in memory, and what is said of the bad ones."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import anyio
import structlog

from jobkeepd.clock import Clock
from jobkeepd.core.model import Peer
from jobkeepd.rpc.settings import RpcSettings

log = structlog.get_logger()


class Guest(Protocol):
    """A connection, as it is counted."""

    @property
    def peer(self) -> Peer: ...

    @property
    def permitted(self) -> bool: ...

    @property
    def held(self) -> int:
        """Bytes kept in memory because the other end does not send the rest or does not read."""

    def drop(self, why: str) -> None: ...

    def finish(self) -> None: ...


class Census:
    def __init__(self, settings: RpcSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._window_ends = 0.0
        self._said = 0
        self._unsaid = 0
        self._per_uid: Counter[int] = Counter()
        self._strangers = 0
        self._left = anyio.Event()
        self.guests: set[Guest] = set()

    def admits(self, peer: Peer, permitted: bool) -> bool:
        limits = self._settings
        full = (
            len(self.guests) >= limits.connections
            or self._per_uid[peer.uid] >= limits.connections_per_uid
            or (not permitted and self._strangers >= limits.connections_of_strangers)
        )
        if full:
            self.complain("too_many_connections", peer)
        return not full

    def add(self, guest: Guest) -> None:
        self.guests.add(guest)
        self._per_uid[guest.peer.uid] += 1
        self._strangers += not guest.permitted

    def remove(self, guest: Guest) -> None:
        if guest not in self.guests:
            return
        self.guests.discard(guest)
        self._strangers -= not guest.permitted
        self._per_uid[guest.peer.uid] -= 1
        if not self._per_uid[guest.peer.uid]:
            del self._per_uid[guest.peer.uid]
        self._left.set()

    async def emptied(self) -> None:
        """Wait until all connections are closed."""
        while self.guests:
            self._left = anyio.Event()
            await self._left.wait()

    def weigh(self, uid: int) -> None:
        """Drop whoever holds most, while one uid's connections hold too much. Called when one has become heavy."""
        mine = sorted((guest for guest in self.guests if guest.peer.uid == uid), key=lambda guest: guest.held)
        total = sum(guest.held for guest in mine)
        while mine and total > self._settings.held_per_uid:
            heaviest = mine.pop()
            total -= heaviest.held
            heaviest.drop("holds_too_much")

    def complain(self, event: str, peer: Peer | None = None, **facts: Any) -> None:
        """Log it, unless too much was logged lately: nobody fills the disk by misbehaving."""
        now = self._clock.monotonic()
        if now >= self._window_ends:
            if self._unsaid:
                log.warning("rpc_complaints_left_out", count=self._unsaid)
            self._window_ends = now + self._settings.log_window
            self._said = self._unsaid = 0
        if self._said >= self._settings.log_events:
            self._unsaid += 1
            return
        self._said += 1
        if peer is not None:
            facts.update(uid=peer.uid, pid=peer.pid)
        log.warning(f"rpc_{event}", **facts)
