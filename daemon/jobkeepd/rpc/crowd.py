"""A crowd of connections, and who of it has been at rest for longest."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

Rest = tuple[bool, float]


class Resting(Protocol):
    @property
    def rest(self) -> Rest | None:
        """None while anything is under way; else whether it has ever said anything, and since when it says nothing.
        It only rises.
        """


G = TypeVar("G", bound=Resting)


class Crowd(Generic[G]):
    """Nothing is kept up to date while they talk: what was known is looked at anew when somebody has to go."""

    def __init__(self) -> None:
        self._members: set[G] = set()
        self._known: list[tuple[Rest, int, G]] = []  # a heap, by what may be less than it is by now
        self._busy: list[G] = []  # when they were looked at
        self._order = count()  # guests cannot be compared

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[G]:
        return iter(self._members)

    def add(self, guest: G) -> None:
        self._members.add(guest)
        heappush(self._known, self._entry(guest, (False, 0.0)))
        if len(self._known) + len(self._busy) > 2 * len(self._members) + 64:  # most of them are gone
            self._busy.clear()
            self._known = [self._entry(each, (False, 0.0)) for each in self._members]
            heapify(self._known)

    def discard(self, guest: G) -> None:
        self._members.discard(guest)

    def longest_at_rest(self) -> G | None:
        """None where all are busy."""
        for _ in range(2):
            found = self._longest()
            if found is not None:
                return found
            self._look_again()
        return None

    def _longest(self) -> G | None:
        while self._known:
            known, _, guest = self._known[0]
            rest = guest.rest if guest in self._members else None
            if rest is None:
                heappop(self._known)
                if guest in self._members:
                    self._busy.append(guest)
            elif rest > known:
                heapreplace(self._known, self._entry(guest, rest))
            else:
                return guest
        return None

    def _look_again(self) -> None:
        self._known = [self._entry(guest, (False, 0.0)) for guest in self._busy if guest in self._members]
        heapify(self._known)
        self._busy = []

    def _entry(self, guest: G, rest: Rest) -> tuple[Any, int, G]:
        return rest, next(self._order), guest
