"""One verb for many jobs: in which states it is looked for, and what becomes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core.lifecycle import Verdict, may_cancel, may_remove, may_restart, may_resume, may_resume_failed_items
from jobkeepd.core.model import Job


class Cancel(Struct, frozen=True):
    force: bool = False


class Resume(Struct, frozen=True):
    failed_items: bool = False


class Restart(Struct, frozen=True):
    from_start: bool = False


class Remove(Struct, frozen=True):
    pass


Verb: TypeAlias = Cancel | Resume | Restart | Remove


class Accepted(Struct, frozen=True):
    """What the job has become: its state, or `removed`."""

    job: str
    state: str


class Refused(Struct, frozen=True):
    job: str
    reason: str


Answer: TypeAlias = Accepted | Refused


class Refusals(Struct, frozen=True):
    """How many were refused for the same reason; `job` is one of them."""

    reason: str
    count: int
    job: str


def states(verb: Verb) -> tuple[JobState, ...]:
    """Those of jobs that somebody means who names none."""
    match verb:
        case Cancel(force):  # what is being cancelled is asked once, and hurried when somebody wants that
            return ("scheduled", "queued", "running", "cancelling") if force else ("scheduled", "queued", "running")
        case Resume(failed_items):
            return ENDED_STATES if failed_items else ("failed", "cancelled")
        case Restart():
            return ("running",)
        case Remove():
            return ENDED_STATES


def verdict(verb: Verb, job: Job, as_of: float | None) -> Verdict:
    """As for one job; and what has begun or ended after `as_of` is left alone, so that asking again does no more."""
    match verb:
        case Cancel():
            return may_cancel(job.state)
        case Resume(failed_items):
            if _later(job.ended_at, as_of):
                return Verdict(False, "the job has been resumed since, and has ended again")
            if failed_items:
                return may_resume_failed_items(job.state, job.progress.failed_items)
            return may_resume(job.state)
        case Restart():
            if job.run is not None and _later(job.run.started_at, as_of):
                return Verdict(False, "its run has begun since")
            return may_restart(job.state)
        case Remove():
            return may_remove(job.state)


def _later(at: float | None, as_of: float | None) -> bool:
    return at is not None and as_of is not None and at > as_of


def become(answers: Sequence[Answer]) -> dict[str, int]:
    """How many have become what."""
    return dict(Counter(answer.state for answer in answers if isinstance(answer, Accepted)))


def refusals(answers: Sequence[Answer]) -> list[Refusals]:
    """By reason, the most frequent first."""
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    examples = {answer.reason: answer.job for answer in reversed(refused)}
    counted = Counter(answer.reason for answer in refused)
    return [Refusals(reason, count, examples[reason]) for reason, count in counted.most_common()]
