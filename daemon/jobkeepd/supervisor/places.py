"""A seat in use: who has it, and who is next. The turn passes the moment the seat is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from jobkeepd.core.admission import Behind, depth_behind
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Seat

# Seconds after which nobody waits behind a run any more: there is next to nothing to gain, and other seats get free.
LASTING = 1.5


class Turn(Latch[bool]):
    """A job's claim on a seat's next turn: granted, or not."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    @property
    def granted(self) -> bool:
        return self.is_set and self.value()


class Place:
    """One seat, occupied by one job, with a few waiting behind it, in order."""

    def __init__(self, seat: Seat, now: float) -> None:
        self.seat = seat
        self._waiting: deque[Turn] = deque()
        self._since = now  # when the occupant got the seat
        self._pace: float | None = None  # seconds of a run, a moving average
        self._depth = depth_behind(None)

    def room(self, now: float) -> int:
        """How many more may wait here."""
        good = self.seat.usable and self.patience(now) > 0
        return self._depth - len(self._waiting) if good else 0

    def patience(self, now: float) -> float:
        """Seconds for which one may still wait here."""
        return self._since + LASTING - now

    @property
    def waiting(self) -> Sequence[Turn]:
        """Who does, in order."""
        return self._waiting

    @property
    def behind(self) -> Behind:
        return Behind(self.seat.need, len(self._waiting), self._depth)

    def wait_behind(self, job: str) -> Turn:
        turn = Turn(job)
        self._waiting.append(turn)
        return turn

    def withdraw(self, turn: Turn) -> None:
        """The one who waited does not want the turn any more."""
        turn.set(False)
        if turn in self._waiting:
            self._waiting.remove(turn)

    def vacate(self, now: float) -> str | None:
        """The occupant is done: the job that has the seat now, if one waited and the seat is still good."""
        taken, self._since = now - self._since, now
        self._pace = taken if self._pace is None else 0.8 * self._pace + 0.2 * taken
        self._depth = depth_behind(self._pace)
        if not self.seat.usable:
            self.close()
        if not self._waiting:
            return None
        turn = self._waiting.popleft()
        turn.set(True)
        return turn.job

    def close(self) -> None:
        """Nobody gets the seat any more."""
        while self._waiting:
            self._waiting.popleft().set(False)
