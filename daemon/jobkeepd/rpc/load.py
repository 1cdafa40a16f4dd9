"""How much the calls of one user cost while they are being answered, and who waits until it is less."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Final

from msgspec import Struct

from jobkeepd.core.model import Peer
from jobkeepd.core.turns import Turns
from jobkeepd.rpc.loop_turns import GoOn, LoopTurns

LARGE: Final = 4 << 20  # bytes that a page of jobs takes, from the rows that are read for it to the frame that goes out
CALL: Final = 4 << 10  # bytes of a call that waits, however short it is: its task or its place in the next commit
PER_BYTE: Final = 4  # of a message: as text, decoded, and as what it has become


class Load:
    """Of all connections of one user. Who comes when it is full waits in line."""

    __slots__ = ("_is_due", "_limit", "_loop", "_size", "is_full", "turns")

    def __init__(self, limit: int, loop: AbstractEventLoop) -> None:
        self._limit = limit
        self._loop = loop
        self._size = 0
        self._is_due = False
        self.is_full = False
        self.turns: Turns[GoOn] = Turns()

    @property
    def has_room(self) -> bool:
        """For one who comes now: those who wait were here before."""
        return not self.is_full and not self.turns

    def add(self, size: int) -> None:
        """May go over the limit, once: then it is full."""
        self._size += size
        self.is_full = self._size >= self._limit

    def remove(self, size: int) -> None:
        self._size -= size
        self.is_full = self._size >= self._limit
        if self.turns and not self.is_full and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._call)

    def _call(self) -> None:
        self._is_due = False
        while self.turns and not self.is_full:
            self.turns.pop()()


class Loads(Struct, frozen=True):
    """`calls` that wait for a commit, or for what else comes soon; large `replies` in the making, and `slow` ones."""

    calls: Load
    replies: Load
    slow: Load
    loop: LoopTurns

    def leave(self, peer: Peer, go_on: GoOn) -> None:
        """Every line."""
        for turns in (self.calls.turns, self.replies.turns, self.slow.turns, self.loop.turns):
            turns.leave(peer, go_on)
