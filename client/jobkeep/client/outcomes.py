"""What an ended job means to who waits for it."""

from __future__ import annotations

from typing import Any

import msgspec

from jobkeep.errors import JobFailed, TimedOut
from jobkeep.protocol.jobs import Event, Job, ResultReply, WaitReply
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.wording import told_after


def ended(reply: WaitReply, timeout_s: float | None) -> list[Job]:
    """The jobs of an answer to Wait. Raises TimedOut."""
    if reply.timed_out:
        raise TimedOut(f"not ended within {timeout_s or 0:g} s", [job.id for job in reply.jobs])
    return reply.jobs


def succeeded(job: Job) -> Job:
    """The job itself. Raises JobFailed unless it succeeded."""
    if job.state == "succeeded":
        return job
    why = _why(job)
    told = f": {told_after(job.state, why)}" if why else ""
    raise JobFailed(f"job {job.id} ({job.name}) {job.state}{told}", job.id, job.state, job.outcome, why)


def _why(job: Job) -> str:
    outcome = job.outcome
    if outcome is None:
        return ""
    if outcome.error is not None:
        return f"{outcome.error.type}: {outcome.error.message}"
    if outcome.reason:
        return outcome.reason
    if outcome.signal is not None:
        return f"signal {outcome.signal}"
    return f"exit code {outcome.exit_code}" if outcome.exit_code is not None else ""


def may_begin(job: Job) -> bool:
    """Whether a job that had no run may have one, or has one by now."""
    return job.attempt > 0 or job.state not in ENDED_STATES


def is_last(event: Event, job: Job) -> bool:
    """Whether a job's journal ends with this event; after a resume an earlier end is not the last one."""
    return event.kind == job.state and job.ended_at is not None and event.at >= job.ended_at


def exit_code(job: Job) -> int:
    """Of a command that succeeded."""
    return (job.outcome.exit_code if job.outcome else None) or 0


def value(reply: ResultReply) -> Any:
    """What the function returned, as JSON values."""
    return msgspec.json.decode(reply.result) if isinstance(reply.result, msgspec.Raw) else None
