"""How long the connections may keep the event loop in one turn of it, and who goes on in the next."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from jobkeepd.core.model import Peer
from jobkeepd.core.turns import Turns

GoOn = Callable[[], None]


class LoopTurns:
    """Those of all users. `seconds`: of one turn of the loop; half for those who wait, half for those who come.

    One who has more to do than that waits, unread: it costs nothing until it is its turn. So nobody waits for more
    than two turns of the loop, unless all others have had less.
    """

    def __init__(self, loop: AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._half = seconds / 2
        self._taken = 0.0  # in this turn; of earlier ones where all of them took little
        self._is_due = False
        self.turns: Turns[GoOn] = Turns()

    def is_now(self, peer: Peer) -> bool:
        """Whether one who comes may go on at once."""
        return self._taken <= 2 * self._half and (
            not self.turns.waiting or self.turns.goes_first(peer, self._half)
        )

    @property
    def share(self) -> float:
        """Seconds for which one may go on before others have their turn."""
        return self._half / 4 if self.turns.waiting else self._half

    def took(self, peer: Peer, seconds: float) -> None:
        self._taken += seconds
        if self.turns.waiting:  # else nobody is owed anything
            self.turns.charge(peer, seconds)
        if self._taken > self._half and not self._is_due:
            self._plan()

    def wait(self, peer: Peer, go_on: GoOn) -> None:
        """`go_on` is called when it is its turn."""
        self.turns.join(peer, go_on)
        self._plan()

    def _plan(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Before what the next turn of the loop has read."""
        self._is_due = False
        self._taken = 0.0
        turns = self.turns
        turns.forget()
        while turns and self._taken <= self._half:
            turns.pop()()
        if turns:
            self._plan()
