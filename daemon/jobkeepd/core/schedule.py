"""Cron expressions: the points in time that they name. Pure; in whatever time zone the caller counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

_MOST_LOOKED_AT: Final = 5_000  # times of one look back: 0.2 s of work
_LOOK_BACK: Final = 3 * 86400.0  # seconds, where there are more: every minute of these is fewer
_SHORT: Final = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


def in_fields(expression: str) -> str:
    """What `@daily` and the like stand for; any other expression as it is."""
    return _SHORT.get(expression.strip(), expression)


def check_cron(expression: str) -> None:
    """Raises ValueError."""
    try:
        CronSim(expression, datetime(2000, 1, 1))
    except (CronSimError, ValueError) as error:
        raise ValueError(f"{expression!r} is no cron expression: {error}") from None


def check_schedule(expression: str) -> None:
    """As check_cron; five fields, or @daily and the like, and it names a time. Raises ValueError."""
    expression = in_fields(expression)
    if expression.strip().startswith("@"):
        raise ValueError(f"{expression!r} is none of {', '.join(_SHORT)}")
    if len(expression.split()) != 5:
        raise ValueError(f"{expression!r} has not five fields, as in 0 2 * * *")
    check_cron(expression)
    if next(times_after(expression, UTC, 946_684_800.0), None) is None:
        raise ValueError(f"{expression!r} names no time at all")


def times_after(expression: str, zone: tzinfo, after: float) -> Iterator[float]:
    """What the expression names in that zone after a moment: rising, each once.

    A time that a change of the clock leaves out is the first moment behind it; one that comes twice is the first of
    the two. Where the hour is any (`*`) the minutes of both hours count: those jobs run by distance.
    """
    expression = in_fields(expression)
    here = datetime.fromtimestamp(after, zone)
    by_distance = expression.split()[1].startswith("*")
    last = after
    for named in CronSim(expression, here if by_distance else here.replace(tzinfo=None)):
        found = named if by_distance else _existing(named, zone)
        seconds = found.timestamp()
        if seconds > last:
            last = seconds
            yield seconds


def _existing(local: datetime, zone: tzinfo) -> datetime:
    """The first moment at or after a local time."""
    while True:
        found = local.replace(tzinfo=zone).astimezone(UTC)
        if found.astimezone(zone).replace(tzinfo=None) == local:
            return found
        local += timedelta(minutes=1)


def due_between(expression: str, zone: tzinfo, after: float, until: float, most: int) -> tuple[list[float], int]:
    """The latest `most` times with after < time <= until, rising; and how many earlier ones there are, as far as told.

    Where there are very many, only the last three days are looked at.
    """
    found: deque[float] = deque(maxlen=most)
    count = 0
    for at in times_after(expression, zone, after):
        if at > until:
            break
        count += 1
        if count > _MOST_LOOKED_AT:
            return due_between(expression, zone, max(after + 1, until - _LOOK_BACK), until, most)
        found.append(at)
    return list(found), count - len(found)
