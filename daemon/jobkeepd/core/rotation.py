"""What of a run's output is kept where, and what of it goes: pure. All numbers are offsets in a stream, or bytes.

A stream is one file that its writers append to. Rotation moves its oldest part to a file of its own and gives the room
back behind the writers' back; offsets stay. So what is still there begins at `first`, goes on through the parts, and
from `base` on it is in the stream's own file. Which parts there are is all the state there is: a part is named by its
range, and an empty part says where the file begins when nothing older was kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from msgspec import Struct

SMALLEST: Final = 256 << 10  # bytes that a limit allows at least: below, most of the work would be rotating
_SLACK: Final = 8  # a user's logs are cut an eighth below the limit, so that it is not done at each look
_LARGEST: Final = (1 << 63) - 1  # offset in a file
_NAME: Final = re.compile(r"([0-9]{20})-([0-9]{20})", re.ASCII)


class Part(Struct, frozen=True, order=True):
    """From `begin` up to `end`, which is not in it any more."""

    begin: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.begin:020}-{self.end:020}"

    @property
    def size(self) -> int:
        return self.end - self.begin


class Extent(Struct, frozen=True):
    """What is there of a stream: parts without a gap, oldest first, then its own file from `base` to `size`."""

    size: int  # how much was written to it
    parts: tuple[Part, ...] = ()

    @property
    def base(self) -> int:
        return self.parts[-1].end if self.parts else 0

    @property
    def first(self) -> int:
        return self.parts[0].begin if self.parts else 0

    @property
    def own(self) -> int:
        """Bytes in its own file."""
        return max(self.size - self.base, 0)

    @property
    def kept(self) -> int:
        return max(self.size - self.first, 0)


class Rule(Struct, frozen=True):
    """Of each stream of a run: its own file has at most so many bytes, and so many parts are kept beside it."""

    most: int = 0  # 0: any number
    keep: int = 0


def part_of(name: str) -> Part | None:
    """Of a file's name; None for one that is no part's, such as that of a copy that was not finished."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    part = Part(int(found[1]), int(found[2]))
    return part if part.begin <= part.end <= _LARGEST else None


def extent(size: int, found: Collection[Part]) -> Extent:
    """Of the parts those that lead to the stream's own file without a gap; what is older was about to be deleted."""
    base = max((part.end for part in found), default=0)
    longest: dict[int, Part] = {}
    for part in found:
        if part.size and (part.end not in longest or part.begin < longest[part.end].begin):
            longest[part.end] = part
    chain: list[Part] = []
    end = base
    while end in longest:
        chain.append(longest[end])
        end = longest[end].begin
    if not chain and base:
        chain.append(Part(base, base))
    return Extent(size, tuple(reversed(chain)))


def next_part(there: Extent, rule: Rule) -> Part | None:
    """What leaves the stream's own file now, one part after the other, until half of what it may have is left."""
    if not rule.most or there.own <= rule.most:
        return None
    return Part(there.base, min(there.base + rule.most, there.size - rule.most // 2))


def surplus(there: Extent, keep: int) -> int | None:
    """Up to where the stream goes, so that no more than `keep` parts are left. None: nothing does."""
    parts = [part for part in there.parts if part.size]
    return parts[-1 - keep].end if len(parts) > keep else None


def gone(found: Collection[Part], there: Extent) -> list[Part]:
    """Parts that say nothing any more, the oldest first: whatever is deleted, what is left has no gap."""
    return sorted(set(found) - set(there.parts))


def cut_to(kept: Sequence[int], most: int) -> list[int]:
    """How much of each log of a user stays where all together may have `most` bytes: those that have more than the
    others give, until all of those have the same. A quiet job loses nothing by a noisy one.
    """
    if sum(kept) <= most:
        return list(kept)
    left, level = most - most // _SLACK, 0
    for place, size in enumerate(ordered := sorted(kept)):
        level = left // (len(ordered) - place)
        if size >= level:
            break
        left -= size
    return [min(size, level) for size in kept]


class Rotated(Protocol):
    """A stream that can be made smaller. See runner/stream_log.py."""

    def extent(self) -> Extent: ...

    def move(self, part: Part) -> None:
        """Out of the own file; its end may move back to that of a line."""

    def drop(self, to: int) -> None: ...


def shorten(log: Rotated, rule: Rule) -> None:
    """Make it keep to its rule. What is one part too many goes before the next one is copied: a disk may be full."""
    there = log.extent()
    while (part := next_part(there, rule)) is not None:
        if there.own > (rule.keep + 1) * rule.most:  # more than all parts can hold: not worth a copy
            log.drop(there.size - rule.most // 2 - rule.keep * rule.most)
        else:
            if (to := surplus(there, rule.keep - 1)) is not None:
                log.drop(to)
            log.move(part)
        there = log.extent()
    if (to := surplus(there, rule.keep)) is not None:
        log.drop(to)
