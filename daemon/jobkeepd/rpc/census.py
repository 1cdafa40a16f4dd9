"""All connections together: how many there are, what they hold in memory, and what is said of the bad ones."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any, Protocol

import anyio
import structlog

from jobkeepd.clock import Clock
from jobkeepd.core.model import Peer
from jobkeepd.core.quota import Bucket, LimitReached, Quota
from jobkeepd.rpc.crowd import Crowd, Rest
from jobkeepd.rpc.load import Load, Loads
from jobkeepd.rpc.loop_turns import LoopTurns
from jobkeepd.rpc.rights import Rights
from jobkeepd.rpc.settings import RpcSettings

log = structlog.get_logger()


class Guest(Protocol):
    """A connection, as it is counted."""

    @property
    def peer(self) -> Peer: ...

    @property
    def held(self) -> int:
        """Bytes kept in memory because the other end does not send the rest, does not read, or waits."""

    @property
    def held_for(self) -> float:
        """Seconds since it has begun to hold more than a little."""

    @property
    def rest(self) -> Rest | None:
        """See crowd.Resting."""

    def drop(self, why: str) -> None: ...

    def finish(self) -> None: ...

    def reconsider(self) -> None: ...


class Census:
    """Where there is no room for one more, whoever rests has to go: those first who have never said anything, then
    those who have been silent for longest. So nobody is kept out by idle connections, of whomever.
    """

    def __init__(self, settings: RpcSettings, clock: Clock, quota: Quota) -> None:
        self._settings = settings
        self._clock = clock
        self._quota = quota
        self._window_ends = 0.0
        self._said = 0
        self._unsaid = 0
        self._buckets: dict[int, Bucket] = {}
        self._loads: dict[int, Loads] = {}
        self._turns: LoopTurns | None = None  # all users take the same
        self._of: dict[int, Crowd[Guest]] = {}  # by uid
        self._strangers: Crowd[Guest] = Crowd()  # who came without any rights
        self._left = anyio.Event()
        self.guests: set[Guest] = set()

    def change(self, quota: Quota) -> None:
        """Guests ask for their buckets anew."""
        self._quota = quota
        self._buckets.clear()

    def admit(self, guest: Guest, rights: Rights) -> LimitReached | None:
        """Count it from now on, or say why there is no room for it."""
        uid, limits = guest.peer.uid, self._settings
        mine = self._of.get(uid) or Crowd()
        total = limits.connections - (0 if rights.privileged else limits.connections_reserved)
        refused: LimitReached | None = None
        if not rights.any and len(self._strangers) >= limits.connections_of_strangers:
            if not self._evict(self._strangers):
                refused = LimitReached(uid, "connections_of_strangers", limits.connections_of_strangers, "no role")
        elif not rights.privileged and len(mine) >= self._quota.connections and not self._evict(mine):
            refused = LimitReached(uid, "max_connections", self._quota.connections, f"{len(mine)} connections at work")
        if refused is None and len(self.guests) >= total and not self._evict(self._most_of(uid)):
            refused = LimitReached(uid, "the limit of all", total, f"{len(mine)} of {len(self.guests)} connections")
        if refused is not None:
            self.complain("too_many_connections", guest.peer, limit=refused.limit)
            return refused
        self.guests.add(guest)
        self._of.setdefault(uid, Crowd()).add(guest)
        if not rights.any:
            self._strangers.add(guest)
        return None

    def is_full(self, more: int) -> bool:
        """Whether others would have to make room for so many."""
        return len(self.guests) + more >= self._settings.connections

    def _most_of(self, uid: int) -> Crowd[Guest]:
        """The connections of whoever has most; of `uid` itself, unless that has clearly fewer."""
        mine = self._of.get(uid) or Crowd()
        most = max(self._of.values(), key=len)
        return most if len(most) > len(mine) + 1 else mine

    def _evict(self, guests: Crowd[Guest]) -> bool:
        guest = guests.longest_at_rest()
        if guest is None:
            return False
        self.remove(guest)
        guest.drop("made_room")
        return True

    def remove(self, guest: Guest) -> None:
        if guest not in self.guests:
            return
        self.guests.discard(guest)
        self._strangers.discard(guest)
        mine = self._of[guest.peer.uid]
        mine.discard(guest)
        if not mine:
            del self._of[guest.peer.uid]
        self._left.set()

    def bucket(self, uid: int, privileged: bool) -> Bucket | None:
        """What messages of that user are paid from; it outlives his connections. None: they are free."""
        if privileged or not self._quota.message_rate:
            return None
        if uid not in self._buckets:
            self._buckets[uid] = Bucket(self._quota.message_rate, self._clock.monotonic())
        return self._buckets[uid]

    def turns(self, loop: AbstractEventLoop) -> LoopTurns:
        if self._turns is None:
            self._turns = LoopTurns(loop, self._settings.turn)
        return self._turns

    def loads(self, uid: int, loop: AbstractEventLoop) -> Loads:
        """Of all connections of that user; it outlives them, since what they have asked for does."""
        if uid not in self._loads:
            limits, turns = self._settings, self.turns(loop)
            calls, large = limits.calls_per_uid, limits.replies_per_uid
            self._loads[uid] = Loads(Load(calls, loop), Load(large, loop), Load(large, loop), turns)
        return self._loads[uid]

    async def emptied(self) -> None:
        """Wait until all connections are closed."""
        while self.guests:
            self._left = anyio.Event()
            await self._left.wait()

    def weigh(self, uid: int) -> None:
        """While one uid's connections hold too much, drop whoever holds most for longest: a large reply that is being
        read is no burden. Called when one has become heavy.
        """
        mine = [(guest.held, guest) for guest in self._of.get(uid, ())]
        total = sum(held for held, _ in mine)
        if total <= self._settings.held_per_uid:
            return
        mine.sort(key=lambda each: (each[0] * each[1].held_for, each[0]))
        while mine and total > self._settings.held_per_uid:
            held, burden = mine.pop()
            total -= held
            burden.drop("holds_too_much")

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
