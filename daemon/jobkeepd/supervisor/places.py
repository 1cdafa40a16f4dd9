"""A seat in use: who has it, and who is next. The turn passes the moment the seat is free."""

from __future__ import annotations

import anyio

from jobkeepd.core.admission import Need
from jobkeepd.runner.base import Seat


class Turn:
    """A job's claim on the seat's next turn. `granted` is None until it is decided."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.granted: bool | None = None
        self._decided = anyio.Event()

    def decide(self, granted: bool) -> None:
        if self.granted is None:
            self.granted = granted
            self._decided.set()

    async def wait(self) -> bool:
        if self.granted is None:
            await self._decided.wait()
        return bool(self.granted)


class Place:
    """One seat, occupied by one job, with at most one job waiting behind it."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._next: Turn | None = None

    @property
    def need(self) -> Need:
        return self.seat.need

    @property
    def has_next(self) -> bool:
        return self._next is not None

    def wait_behind(self, job: str) -> Turn:
        assert self._next is None
        self._next = Turn(job)
        return self._next

    def withdraw(self, turn: Turn) -> None:
        """The one who waited does not want the turn any more."""
        turn.decide(False)
        if self._next is turn:
            self._next = None

    def vacate(self) -> str | None:
        """The occupant is done: the job that has the seat now, if one waited and the seat is still good."""
        turn, self._next = self._next, None
        if turn is None:
            return None
        usable = self.seat.usable
        turn.decide(usable)
        return turn.job if usable else None
