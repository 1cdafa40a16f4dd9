"""Which open runs are stuck while the daemon lives, and what recovery does with each: evidence in, one row out. Pure.

What became of runs while no daemon lived is recovery.py's business.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from jobkeep.protocol.vocabulary import Health, OnLost
from jobkeepd.core.ending import Policy, Recovered, decide
from jobkeepd.core.model import Job
from jobkeepd.core.wording import in_words

StuckVerdict = Literal["alive", "starting", "stopping", "late", "stalled", "silent", "unfollowed"]
StuckAction = Literal["leave", "adopt", "fail", "resume"]


class Followed(Struct, frozen=True):
    """A task of this daemon follows the run. Ages in seconds; `silent_for` is None for a command, whose life is its
    process, and that is followed by the kernel. Who was silent for less than `late_after` is well.
    """

    started: bool
    stopping: bool
    silent_for: float | None
    health: Health = "ok"
    stuck_for: float | None = None
    late_after: float = 0.0


class Unfollowed(Struct, frozen=True):
    """No task follows the run. `seat_known`: its seat can be asked. `awaited`: it is being asked, since the start."""

    seat_known: bool
    awaited: bool = False


Evidence: TypeAlias = Followed | Unfollowed


class Finding(Struct, frozen=True):
    """`reason` says why, for people; `stuck_for` in seconds, where there is anything to count from."""

    verdict: StuckVerdict
    action: StuckAction
    reason: str
    stuck_for: float | None = None

    @property
    def ends_run(self) -> bool:
        return self.action in ("fail", "resume")


def judge_stuck(job: Job, seen: Evidence, older_than: float, then: OnLost | None, policy: Policy) -> Finding:
    """What recovery does with an open run. `then` beats the job's own on_lost.

    Only who gave no sign of life for `older_than` is touched, however long the run has taken; and nobody who is not
    even late: between two heartbeats everybody is silent.
    """
    if isinstance(seen, Unfollowed):
        if seen.seat_known:
            return Finding("unfollowed", "adopt", "no task follows it: its seat is asked what became of it")
        if seen.awaited:
            return Finding("unfollowed", "leave", "its slot has not answered since the daemon started, and may have it")
        why = "nobody follows it, and its seat is not known: the next start of the daemon asks all seats"
        return Finding("unfollowed", "leave", why)  # it may live: no proof, no verdict
    if seen.stopping:
        return Finding("stopping", "leave", "its end was asked for, and is being carried out", seen.stuck_for)
    if not seen.started:
        return Finding("starting", "leave", "its start is on the way")
    silent = seen.silent_for
    older_than = max(older_than, seen.late_after)
    if silent is not None and silent >= older_than:
        return _end(job, "silent", f"no sign of life for {in_words(silent)}", silent, then, policy)
    if seen.health == "stalled":
        return Finding("stalled", "leave", "it lives, but makes no progress: its on_stall decides", seen.stuck_for)
    if seen.health == "late":
        return Finding("late", "leave", f"its last sign of life is younger than {in_words(older_than)}", seen.stuck_for)
    return Finding("alive", "leave", "its process is alive")


def _end(
    job: Job, verdict: StuckVerdict, why: str, silent: float | None, then: OnLost | None, policy: Policy
) -> Finding:
    """The action is what the end of the run will really lead to."""
    state = decide(job, Recovered(0.0, why, then), None, policy).state
    return Finding(verdict, "resume" if state == "queued" else "fail", why, silent)
