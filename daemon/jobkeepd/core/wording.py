"""Durations, counts and causes as people say them: pure."""

from __future__ import annotations

from jobkeep.protocol.jobs import Progress
from jobkeepd.core.model import Peer


def in_words(seconds: float) -> str:
    """45 s, 12 min, 3 h 5 min, 2 d 1 h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    unit, part, names = (3600, 60, ("h", "min")) if whole < 86400 else (86400, 3600, ("d", "h"))
    rest = whole % unit // part
    return f"{whole // unit} {names[0]}" + (f" {rest} {names[1]}" if rest else "")


def progress_in_words(progress: Progress) -> str | None:
    """228/313, or 228 where nobody knows how many there are; None before the first."""
    if progress.total is not None:
        return f"{progress.done}/{progress.total}"
    return str(progress.done) if progress.done else None


def cancelled_by(by: Peer | None, reason: str | None) -> str:
    """Who wanted a job's end, and why: what is on record of it once it has come."""
    who = "the daemon" if by is None else f"user {by.uid}"
    return f"cancelled by {who}" + (f": {reason}" if reason else "")


def occupied(run: str | None) -> str:
    """Why a process of a slot is left alone, by the name of the run there: JOB.NUMBER, or that of an idle worker."""
    if run is None:
        return "its slot sees to its end"
    return "its run is under way" if "." in run else "it is a worker, and waits for its next run"
