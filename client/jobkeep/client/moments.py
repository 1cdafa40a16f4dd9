"""Points in time as people write them: without an offset they are local."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(moment: datetime) -> datetime:
    """Of an hour that comes twice the first one; in an hour that is left out, what follows: never too early."""
    found = moment.astimezone(UTC)
    if moment.tzinfo is None and found.astimezone().replace(tzinfo=None) != moment:
        found = max(found, moment.replace(fold=1).astimezone(UTC))
    return found
