"""What becomes of a job when its run has ended: facts and policy in, one decision out."""

from __future__ import annotations

import signal
from typing import Literal, TypeAlias

from msgspec import Raw, Struct

from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.vocabulary import JobState, OnLost, RunOutcome
from jobkeepd.core.lifecycle import Event, advance
from jobkeepd.core.model import Exit, Job, Usage
from jobkeepd.core.retry import retry_delay

LONGEST_REASON = 300  # characters
POISON_LIMIT = 3  # policy resumes in a row without progress


class Exited(Struct, frozen=True):
    """A command's leader ended; `terminated` when we had sent it a signal."""

    exit: Exit
    terminated: bool = False


class Finished(Struct, frozen=True):
    """A worker reported the end of a function."""

    outcome: Literal["succeeded", "failed", "cancelled", "interrupted"]
    ended_at: float
    result: Raw | None = None
    error: ErrorInfo | None = None
    reason: str | None = None


class WorkerDied(Struct, frozen=True):
    """The worker ended before it reported; its parent saw how."""

    exit: Exit


class NotStarted(Struct, frozen=True):
    """Nothing ever ran, and trying again would not help."""

    reason: str
    ended_at: float


class NeverSent(Struct, frozen=True):
    """Nothing ever ran: the seat was lost before the start reached it."""

    ended_at: float


class Gone(Struct, frozen=True):
    """It had started and nobody saw its end."""

    noticed_at: float


class Rebooted(Struct, frozen=True):
    """The host was started anew since: the run is over, its result unknown."""

    noticed_at: float


RunEnd: TypeAlias = Exited | Finished | WorkerDied | NotStarted | NeverSent | Gone | Rebooted


class Policy(Struct, frozen=True):
    """Defaults of the daemon, and this moment's chance."""

    on_lost: OnLost
    jitter: float


class Decision(Struct, frozen=True):
    """How to record the run and where the job goes."""

    outcome: RunOutcome
    state: JobState
    at: float
    status: int | None = None
    reason: str | None = None
    error: ErrorInfo | None = None
    result: Raw | None = None
    charge: bool = False
    due_at: float | None = None
    from_start: bool = False


def usage_of(end: RunEnd) -> Usage | None:
    """What the leader used, where its parent saw its end."""
    return end.exit.usage if isinstance(end, Exited | WorkerDied) else None


def describe_status(status: int, subject: str = "") -> str:
    """A raw wait status in words: 'exit code 3', 'ended by signal 9 (SIGKILL)'."""
    code, number = status >> 8 & 0xFF, status & 0x7F
    if not number:
        return f"{subject}exit code {code}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    return f"{subject}ended by signal {number} ({name})"


def decide(job: Job, end: RunEnd, timed_out: float | None, policy: Policy) -> Decision:
    """The one answer for every end of a run. `timed_out` is the limit in seconds that the run was stopped for."""
    match end:
        case Finished(outcome="succeeded"):
            return Decision("succeeded", _next(job, "succeed"), end.ended_at, result=end.result)
        case Exited(exit=Exit(status=0), terminated=False):
            return Decision("succeeded", _next(job, "succeed"), end.exit.ended_at, status=0)
        case NeverSent():
            return Decision(
                "interrupted", _next(job, "interrupt"), end.ended_at, reason="never started: its seat was lost"
            )
    status, at, reason, error = _facts(end)
    if job.stop is not None and timed_out is None:
        return _stopped(job, job.stop, at, status, reason)
    match end:
        case NotStarted():
            return Decision("failed", _next(job, "fail_for_good"), at, reason=reason)
        case Gone():
            return _lost(job, at, reason or "", policy)
        case Rebooted():
            resumes = job.spec.function is not None and job.checkpoint_seq > 0
            if resumes or _on_lost(job, policy) == "resume":
                return Decision("interrupted", _next(job, "interrupt"), at, reason=reason)
            return Decision("interrupted", _next(job, "lose_for_good"), at, reason=reason)
        case Finished(outcome="interrupted"):
            return Decision("interrupted", _next(job, "interrupt"), at, reason=reason)
    if timed_out is not None:
        reason = f"timed out after {timed_out:g} s"
    return _failed(job, Decision("failed", "failed", at, status=status, reason=reason, error=error), policy)


def _next(job: Job, event: Event) -> JobState:
    state = advance(job.state, event)
    assert state is not None, (job.state, event)  # the table is total over runs' ends, by test
    return state


def _facts(end: RunEnd) -> tuple[int | None, float, str | None, ErrorInfo | None]:
    match end:
        case Exited():
            return end.exit.status, end.exit.ended_at, describe_status(end.exit.status), None
        case WorkerDied():
            return end.exit.status, end.exit.ended_at, describe_status(end.exit.status, "worker "), None
        case Finished():
            return None, end.ended_at, end.reason or _first_line(end.error), end.error
        case NotStarted():
            return None, end.ended_at, end.reason, None
        case NeverSent():
            return None, end.ended_at, None, None
        case Gone():
            return None, end.noticed_at, "lost: it had started, and nobody saw its end", None
        case Rebooted():
            return None, end.noticed_at, "the host was restarted", None


def _first_line(error: ErrorInfo | None) -> str | None:
    """Of an error, short enough for a list of runs."""
    if error is None:
        return None
    message = error.message.strip().partition("\n")[0]
    line = f"{error.type}: {message}" if message else error.type
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def _stopped(job: Job, stop: str, at: float, status: int | None, reason: str | None) -> Decision:
    if stop == "cancelled" or job.state == "cancelling":
        return Decision("cancelled", _next(job, "stopped"), at, status=status, reason=reason)
    from_start = stop == "restart_from_start"
    return Decision("interrupted", _next(job, "stopped"), at, status=status, reason="restarted", from_start=from_start)


def _on_lost(job: Job, policy: Policy) -> OnLost:
    return job.spec.on_lost or policy.on_lost


def _lost(job: Job, at: float, reason: str, policy: Policy) -> Decision:
    if _on_lost(job, policy) == "fail":
        return Decision("lost", _next(job, "lose_for_good"), at, reason=reason)
    if job.attempts + 1 >= POISON_LIMIT and job.attempts >= job.spec.retries:
        return Decision("lost", _next(job, "lose_for_good"), at, reason=f"poison: {reason}", charge=True)
    return Decision("lost", _next(job, "lose"), at, reason=reason, charge=True)


def _failed(job: Job, failed: Decision, policy: Policy) -> Decision:
    if job.attempts >= job.spec.retries:
        return _with(failed, state=_next(job, "fail_for_good"))
    attempts = job.attempts + 1
    delay = retry_delay(job.spec.backoff_s, attempts, policy.jitter)
    return _with(failed, state=_next(job, "fail"), charge=True, due_at=failed.at + delay)


def _with(base: Decision, **changes: object) -> Decision:
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    return Decision(**{**fields, **changes})
