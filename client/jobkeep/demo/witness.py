"""What the start log proves, independent of what jobkeep says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Start(NamedTuple):
    """One start of an item, by the process `pid`."""

    pid: int
    item: str


def read_starts(log: Path) -> list[Start]:
    """All starts so far, in order; a line that is being written is left out."""
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8", errors="surrogateescape").split("\n")[:-1]
    return [Start(int(pid), item) for pid, item in (line.split(" ", 1) for line in lines)]


def repeated(before: list[Start], after: list[Start]) -> list[str]:
    """Items that had been started before a kill and were started again after it, in their first order.

    The last one before was in work at the kill; all the others had been finished.
    """
    again = {start.item for start in after}
    return [start.item for start in before if start.item in again]


def finished_twice(before: list[Start], after: list[Start]) -> int:
    """How many finished items the kill cost: the one that was in work is not among them."""
    in_work = before[-1].item if before else None
    return sum(item != in_work for item in repeated(before, after))
