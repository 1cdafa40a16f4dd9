"""Who works on the items of a map, and what comes back from there."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct

from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.sdk.failures import ITEM_ERROR_LIMIT, error_info

BUNDLE_S: Final = 1.0  # a bundle that has taken so long comes back as far as it is
_HERE = __file__.rpartition("/")[0]

Function: TypeAlias = Callable[[Any], str | None]


class Done(Struct):
    """What has become of the first items of a bundle: label or error of each. The others are to be done again.

    `died`: whoever had it is gone, with those words; `broken`: the map cannot go on at all.
    """

    outcomes: Sequence[tuple[Any, ErrorInfo | None]] = ()
    seconds: float = 0.0
    died: str | None = None
    broken: Exception | None = None


class Crew(Protocol):
    """Of one map. `width`: how many items may be in work at once. `done` fills in any order, each time announced."""

    width: int
    done: deque[tuple[int, Done]]

    def hand_out(self, number: int, items: list[Any]) -> None:
        """Have the items of that bundle worked off, one after the other. Does not block."""

    def end(self) -> None:
        """No more is wanted; what is in work ends as soon as it can be ended."""


Recruit: TypeAlias = Callable[[Function, int | None], Crew]  # for that function; at most so many items at once


def work_off(function: Function, items: Sequence[Any]) -> Done:
    """What a member of a crew does."""
    begin = time.monotonic()
    outcomes: list[tuple[Any, ErrorInfo | None]] = []
    for item in items:
        if outcomes and time.monotonic() - begin > BUNDLE_S:
            break  # nobody may want the rest any more
        try:
            outcomes.append((function(item), None))
        except Exception as error:  # noqa: BLE001 - whatever an item raises is its outcome
            outcomes.append((None, error_info(error, ITEM_ERROR_LIMIT, skip=_HERE)))
    return Done(outcomes, time.monotonic() - begin)
