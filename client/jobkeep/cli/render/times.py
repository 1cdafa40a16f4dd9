"""Times and durations for people. No datetime: importing it costs more than it saves here."""

from __future__ import annotations

from jobkeep.wording import span as span


def epoch(iso: str) -> float:
    """Seconds since 1970 of an ISO-8601 time in UTC (`2026-01-02T03:04:05.678Z`)."""
    year, month, day = int(iso[:4]), int(iso[5:7]), int(iso[8:10])
    shifted = year - (month < 3)  # years begin in March, so that leap days come last
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
    seconds = float(iso[17:].partition("+")[0].rstrip("Z") or 0)
    return days * 86400 + int(iso[11:13]) * 3600 + int(iso[14:16]) * 60 + seconds


def ago(iso: str, now: float) -> str:
    """`3 min ago`; clocks that disagree by a little make `just now`, and a due time `in 3 min`."""
    seconds = now - epoch(iso)
    if -1.0 < seconds < 1.0:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def when(iso: str, now: float, tty: bool) -> str:
    """Relative on a terminal, ISO-8601 to the second elsewhere."""
    return ago(iso, now) if tty else f"{iso[:19]}Z"


def iso(seconds: float) -> str:
    """The ISO-8601 time of seconds since 1970."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))
