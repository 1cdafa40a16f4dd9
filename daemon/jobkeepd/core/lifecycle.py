"""Every transition of a job, in one table, and the actions people may take because of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import Struct

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState

# What can happen to a job. The first ones, up to `restart`, are people's wishes, the others facts.
Event = Literal[
    "cancel", "resume", "resume_items", "restart", "due",
    "start", "succeed", "fail", "fail_for_good", "stopped", "interrupt", "lose", "lose_for_good",
]  # fmt: skip
EVENTS: Final = get_args(Event)
STATES: Final = get_args(JobState)
WAITING: Final[frozenset[JobState]] = frozenset({"scheduled", "queued"})

# A pair that is not here is illegal. `fail` and `lose` are those that policy lets run again (a retry is
# `scheduled` until its backoff is over); the `_for_good` ones end the job. `stopped` is a run that ended
# because it was asked to: by cancel, which ends the job, or by restart, which queues it again.
TRANSITIONS: Final[Mapping[tuple[JobState, Event], JobState]] = {
    ("scheduled", "due"): "queued",
    ("scheduled", "cancel"): "cancelled",
    # with another job, for whose end it waits as well
    ("scheduled", "fail_for_good"): "failed",
    ("queued", "start"): "running",
    ("queued", "cancel"): "cancelled",
    # a run that could not be started at all
    ("queued", "fail"): "scheduled",
    ("queued", "fail_for_good"): "failed",
    ("queued", "interrupt"): "queued",
    ("queued", "stopped"): "cancelled",
    ("queued", "lose"): "queued",
    ("queued", "lose_for_good"): "failed",
    ("running", "succeed"): "succeeded",
    ("running", "fail"): "scheduled",
    ("running", "fail_for_good"): "failed",
    ("running", "interrupt"): "queued",
    ("running", "lose"): "queued",
    ("running", "lose_for_good"): "failed",
    ("running", "cancel"): "cancelling",
    ("running", "restart"): "running",
    ("running", "stopped"): "queued",
    ("cancelling", "cancel"): "cancelling",
    # the run may win the race against its cancellation: what it achieved stays true
    ("cancelling", "succeed"): "succeeded",
    ("cancelling", "fail"): "cancelled",
    ("cancelling", "fail_for_good"): "cancelled",
    ("cancelling", "stopped"): "cancelled",
    ("cancelling", "interrupt"): "cancelled",
    ("cancelling", "lose"): "cancelled",
    ("cancelling", "lose_for_good"): "cancelled",
    ("failed", "resume"): "queued",
    ("cancelled", "resume"): "queued",
    # a batch succeeds though items of it failed: those are what there is left to do
    ("succeeded", "resume_items"): "queued",
    ("failed", "resume_items"): "queued",
    ("cancelled", "resume_items"): "queued",
}


def advance(state: JobState, event: Event) -> JobState | None:
    """Where `event` leads from `state`; None where it is illegal."""
    return TRANSITIONS.get((state, event))


def sources(event: Event) -> tuple[JobState, ...]:
    """The states in which `event` is legal: the guard of the write that records it."""
    return tuple(state for state, candidate in TRANSITIONS if candidate == event)


class Verdict(Struct, frozen=True):
    """Whether a verb is allowed; `reason` completes 'cannot VERB: …' where it is not."""

    allowed: bool
    reason: str | None = None


_ALLOWED: Final = Verdict(True)
_ENDED_WORDS: Final[Mapping[JobState, str]] = {
    "succeeded": "the job has succeeded",
    "failed": "the job has failed",
    "cancelled": "the job was cancelled",
}


def may_cancel(state: JobState) -> Verdict:
    if advance(state, "cancel"):
        return _ALLOWED
    return Verdict(False, f"{_ENDED_WORDS[state]} already")


def may_resume(state: JobState) -> Verdict:
    if advance(state, "resume"):
        return _ALLOWED
    if state in ENDED_STATES:
        return Verdict(False, "the job has succeeded; submit it again to run it again")
    return Verdict(False, f"the job is {state}; only failed and cancelled jobs are resumed")


def may_remove(state: JobState) -> Verdict:
    """From the record, with its output: what lives is to be ended first."""
    if state in ENDED_STATES:
        return _ALLOWED
    if state == "cancelling":
        return Verdict(False, "the job is being cancelled; it can be removed once it has ended")
    return Verdict(False, f"the job is {state}; cancel it first")


def may_restart(state: JobState) -> Verdict:
    if advance(state, "restart"):
        return _ALLOWED
    if state == "cancelling":
        return Verdict(False, "the job is being cancelled")
    if advance(state, "resume"):
        return Verdict(False, f"{_ENDED_WORDS[state]}; use resume")
    if state == "succeeded":
        return Verdict(False, "the job has succeeded; submit it again to run it again")
    return Verdict(False, f"the job is {state}; only running jobs are restarted")


def may_resume_failed_items(state: JobState, failed_items: int) -> Verdict:
    """As resume, and for a job that succeeded too: its failed items are what there is left to do."""
    if not advance(state, "resume_items"):
        return Verdict(False, f"the job is {state}; only the items of a job that has ended are run again")
    return _ALLOWED if failed_items else Verdict(False, "the job has no failed items")


def is_done_for_good(state: JobState, failed_items: int) -> bool:
    """Whether no verb runs it again: nobody needs what its runs were started with any more."""
    return state == "succeeded" and not failed_items
