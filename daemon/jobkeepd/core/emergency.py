"""Emergency: which processes end, whatever runs. Pure.

All that is ours ends, protected by a run or a session or not, and all of a configured family, by its name alone. Still
nobody ends that is another user's, that we descend from, or that wants to stay.
"""

from __future__ import annotations

from typing import Literal

from jobkeepd.core.ownership import Finding

Turn = Literal["first", "last"]  # slots and spawners come last: they see how the others end


def turn_of(finding: Finding, uid: int) -> Turn | None:
    """When a process is to end; None if it is left alone. `uid` is ours."""
    sight = finding.sight
    if finding.role is not None:
        return None if finding.role == "daemon" else "last"
    if sight.pid <= 1 or sight.uid != uid or sight.keep:
        return None
    if finding.verdict == "owned":
        return "first"
    if finding.verdict == "orphan":
        return "first" if finding.fate == "end" else None
    is_above_us = finding.fate == "protect"
    return "first" if finding.family is not None and not is_above_us else None
