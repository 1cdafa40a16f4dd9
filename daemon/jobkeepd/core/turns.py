"""Whose turn it is: who has had least goes first. Pure; a cost is seconds, or bytes, of whoever shares them."""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

from jobkeepd.core.model import Peer

T = TypeVar("T")
Process = tuple[int, int]  # uid and pid


class Turns(Generic[T]):
    """Of those who wait. Processes take them, and in each its connections: hundreds of those are no reason for another
    process to wait for long. What a process takes counts as many times as its user has processes in the line, so that
    hundreds of those are no reason for another user, either. Who comes after a rest has had no more, and no less, than
    those who wait: its turn is next, but it cannot save turns up.
    """

    __slots__ = ("_floor", "_had", "_of", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Process, dict[T, None]] = {}  # of those who have had as much the first is next
        self._of: Counter[int] = Counter()  # user -> processes that wait
        self._had: dict[Process, float] = {}  # where it is more than the floor
        self._floor = 0.0  # what those who wait have had, all of them

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def goes_first(self, peer: Peer, lead: float) -> bool:
        """Whether one who does not wait need not begin to: nobody waits, or it has had less than others and `lead`."""
        process = peer.uid, peer.pid
        return not self.waiting or (
            process not in self.waiting and self._had.get(process, 0.0) <= self._floor + lead
        )

    def join(self, peer: Peer, item: T) -> None:
        """Once, however often it is asked for."""
        process = peer.uid, peer.pid
        if process not in self.waiting:
            self._begin(process, {})
        self.waiting[process][item] = None

    def _begin(self, process: Process, waiting: dict[T, None]) -> None:
        self.waiting[process] = waiting
        self._of[process[0]] += 1

    def _end(self, process: Process) -> None:
        del self.waiting[process]
        self._of[process[0]] -= 1
        if not self._of[process[0]]:
            del self._of[process[0]]

    def leave(self, peer: Peer, item: T) -> None:
        """Whether it waits or not."""
        process = peer.uid, peer.pid
        waiting = self.waiting.get(process)
        if waiting is not None:
            waiting.pop(item, None)
            if not waiting:
                self._end(process)

    def pop(self) -> T:
        """Whose turn it is. There has to be somebody."""
        process = min(self.waiting, key=self._has_had)
        self._floor = self._has_had(process)
        waiting = self.waiting[process]
        item = next(iter(waiting))
        del waiting[item]
        self._end(process)
        if waiting:  # behind all others
            self._begin(process, waiting)
        return item

    def charge(self, peer: Peer, cost: float) -> None:
        """It has had this much."""
        process = peer.uid, peer.pid
        processes = self._of[peer.uid] + (process not in self.waiting)
        self._had[process] = self._has_had(process) + cost * processes

    def _has_had(self, process: Process) -> float:
        return max(self._floor, self._had.get(process, 0.0))

    def forget(self) -> None:
        """From time to time: who has had no more than others, and everything once nobody waits."""
        if not self.waiting:
            self._had.clear()
            self._floor = 0.0
        else:
            self._had = {process: had for process, had in self._had.items() if had > self._floor}
