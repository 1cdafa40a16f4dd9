"""The order in which the jobs of a queue start: by priority, age, and turns between the values of a label. Pure.

Each job that joins a line is dated once, and never again: so the order is an index, however many wait. A point of
priority is worth `ageing` seconds of waiting: what is more urgent overtakes whoever is less, unless that one has waited
for as much longer. So everything has its turn. Where values of a label take turns, each further job of the same value
is dated `ageing` later than the one before, as if it were less urgent by a point. Who has none in the line is dated as
those whose turn it is now: start-time fair queueing, whose clock is the date of the job that was started last. Here it
goes on with time as well, since waiting counts, but never further than one turn.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace


class Rule(Struct, frozen=True):
    """Of one queue. `fair` is the key of the label whose values take turns."""

    ageing_s: float = 3600.0
    fair: str | None = None


class Line(Struct, frozen=True):
    """Of a queue in which values take turns: its own clock as of `at` (UTC), and the latest date given out so far."""

    at: float
    clock: float
    peak: float


def first_line(at: float) -> Line:
    """A queue in which nobody has taken turns yet goes by UTC."""
    return Line(at, at, at)


def advanced(line: Line, at: float, served: float | None, ageing_s: float) -> Line:
    """The line at a later time. `served`: the date of whose turn it is; None when nobody waits: all begin anew."""
    elapsed = max(0.0, at - line.at)  # a clock that was set back is waited for
    if served is None:
        return replace(line, at=at, clock=max(line.clock + elapsed, line.peak))
    return replace(line, at=at, clock=max(line.clock, served, min(line.clock + elapsed, served + ageing_s)))


class Place(Struct, frozen=True):
    """Of one job. `turn_at` is what jobs are sorted by: the date, and what its priority is worth."""

    line_at: float
    turn_at: float


def place(line_at: float, priority: int, rule: Rule) -> Place:
    return Place(line_at, line_at - rule.ageing_s * priority)


def join(line: Line, last: float | None, rule: Rule) -> tuple[Line, float, float]:
    """One job of a value that takes turns: the line after it, its date, and when the value's next is dated, at least.

    `last` is what this said of the job before.
    """
    line_at = line.clock if last is None else max(line.clock, last)
    following = line_at + rule.ageing_s
    return replace(line, peak=max(line.peak, following)), line_at, following
