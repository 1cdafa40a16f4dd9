"""Durations as people write them: `90s 15m 3.5h 2d`, alone or added up as in `1h30m`. Standard library only."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing itself is not cheap to import
if TYPE_CHECKING:
    from datetime import timedelta

    Duration = float | timedelta | str

LONGEST_S = 366 * 86400.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def to_seconds(value: Duration) -> float:
    """Seconds of a number (already seconds), a timedelta, or text. Raises ValueError, also beyond 0 s … 366 d."""
    if isinstance(value, str):
        seconds = _parse(value)
    elif isinstance(value, int | float):
        seconds = float(value)
    else:
        seconds = value.total_seconds()
    if not 0 <= seconds <= LONGEST_S:  # false for NaN, too
        raise ValueError(f"a duration is between 0 s and 366 days, not {value!r}")
    return seconds


def _parse(text: str) -> float:
    compact = text.strip().replace(" ", "")
    if _NUMBER.fullmatch(compact):
        return float(compact)
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"not a duration: {text!r}; write it like 90s, 15m, 3.5h or 2d")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
