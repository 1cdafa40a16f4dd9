"""What becomes of a job when its run has ended: facts and policy in, one decision out."""

from __future__ import annotations

import signal
from typing import Literal, TypeAlias

from msgspec import Raw, Struct
from msgspec.structs import replace

from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.vocabulary import JobState, OnLost, RunOutcome
from jobkeepd.core.lifecycle import Event, advance
from jobkeepd.core.limits import NOT_OURS, killed_by_others, out_of_memory
from jobkeepd.core.model import Exit, Job, Usage
from jobkeepd.core.retry import retry_delay

LONGEST_REASON = 300  # characters
POISON_LIMIT = 3  # runs in a row that policy would run again, and that have saved nothing


class Exited(Struct, frozen=True):
    """A command's leader ended; `terminated` when we had sent it a signal."""

    exit: Exit
    terminated: bool = False


class Finished(Struct, frozen=True):
    """A worker reported the end of a function."""

    outcome: Literal["succeeded", "failed", "cancelled", "interrupted", "lost"]
    ended_at: float
    result: Raw | None = None
    error: ErrorInfo | None = None
    reason: str | None = None
    permanent: bool = False  # the function says of its failure that trying again would not help


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


class Recovered(Struct, frozen=True):
    """Recovery has ended the run, since it gave no sign of life; `then` beats the job's own on_lost."""

    ended_at: float
    reason: str
    then: OnLost | None = None


RunEnd: TypeAlias = Exited | Finished | WorkerDied | NotStarted | NeverSent | Gone | Rebooted | Recovered


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
    futile: int = 0  # how often in a row the job has been run again for nothing, with this time


def usage_of(end: RunEnd) -> Usage | None:
    """What the leader used, where its parent saw its end."""
    return end.exit.usage if isinstance(end, Exited | WorkerDied) else None


def ended_without_run(job: Job, event: Literal["cancel", "fail_for_good"], at: float, reason: str | None) -> Job:
    """A job that waits for its start, or for a time, ends where it is."""
    return replace(
        job,
        state=advance(job.state, event) or job.state,
        due_at=None,
        ended_at=at,
        stop=None,
        blocked=None,
        waits_on=None,
        outcome="cancelled" if event == "cancel" else "failed",
        reason=reason,
        error=None,
    )


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


def overran(job: Job, end: RunEnd) -> float | None:
    """The limit that a run was stopped for, by a daemon that did not live to record it: a signal ended it, too late."""
    limit, run = job.spec.timeout_s, job.run
    if limit is None or job.stop is not None or not isinstance(end, Exited | WorkerDied):
        return None
    if run is None or run.started_at is None or not end.exit.status & 0x7F:
        return None
    return limit if end.exit.ended_at >= run.started_at + limit else None


def decide(job: Job, end: RunEnd, timed_out: float | None, policy: Policy) -> Decision:
    """The one answer for every end of a run. `timed_out` is the limit in seconds that the run was stopped for."""
    fenced = None if job.run is None else job.run.fenced
    if fenced is not None and isinstance(end, Finished):
        end = Gone(end.ended_at)  # its word does not count any more
    match end:
        case Finished(outcome="succeeded"):
            return Decision("succeeded", _next(job, "succeed"), end.ended_at, result=end.result)
        case Exited(exit=Exit(status=0), terminated=False):
            return Decision("succeeded", _next(job, "succeed"), end.exit.ended_at, status=0)
        case NeverSent() if job.stop != "cancelled":
            return Decision(
                "interrupted", _next(job, "interrupt"), end.ended_at, reason="never started: its seat was lost",
                futile=0 if job.run is None else job.run.futile,
            )  # fmt: skip
    status, at, reason, error = _facts(end)
    if job.stop is not None and (timed_out is None or job.stop == "cancelled" or isinstance(end, NeverSent)):
        return _stopped(job, job.stop, at, status, reason, policy)
    if fenced is not None and timed_out is None and not isinstance(end, Recovered):
        return _lost(job, at, f"lost: {fenced}", _on_lost(job, policy), policy)
    if job.spec.on is not None and timed_out is None and isinstance(end, WorkerDied | Gone):
        # The bridge is gone, and not what it carried: the next one goes on with that.
        return _goes_on(job, "interrupted", at, f"the bridge to {job.spec.on} ended: {reason}", policy, charge=False)
    match end:
        case Finished(outcome="lost"):
            return _lost(job, at, reason or "lost", _on_lost(job, policy), policy)
        case NotStarted():
            return Decision("failed", _next(job, "fail_for_good"), at, reason=reason)
        case Gone():
            return _lost(job, at, reason or "", _on_lost(job, policy), policy)
        case Recovered():
            return _lost(job, at, reason or "", end.then or _on_lost(job, policy), policy)
        case Rebooted():
            resumes = job.spec.function is not None and job.saved > 0
            if resumes or _on_lost(job, policy) == "resume":
                return _goes_on(job, "interrupted", at, reason or "", policy, charge=False)
            return Decision("interrupted", _next(job, "lose_for_good"), at, reason=reason)
        case Finished(outcome="interrupted"):
            why = "the daemon was drained" if reason == "drain" else reason
            return Decision("interrupted", _next(job, "interrupt"), at, reason=why)
        case Finished(outcome="failed", permanent=True):
            return Decision("failed", _next(job, "fail_for_good"), at, reason=reason, error=error)
    if timed_out is not None:
        reason = f"timed out after {timed_out:g} s"
    elif isinstance(end, Exited | WorkerDied):
        reason, error = _by_others(job, end, reason or "")
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
        case Recovered():
            return None, end.ended_at, f"recovered: {end.reason}", None


def _by_others(job: Job, end: Exited | WorkerDied, described: str) -> tuple[str, ErrorInfo | None]:
    """Reason and error of a run that nobody here has stopped: the kernel may have."""
    starved = out_of_memory(job.spec, end.exit, described)
    if starved is not None:
        return starved.message, starved
    ours = isinstance(end, Exited) and end.terminated
    return f"{described}{NOT_OURS}" if killed_by_others(end.exit, ours) else described, None


def _first_line(error: ErrorInfo | None) -> str | None:
    """Of an error, short enough for a list of runs."""
    if error is None:
        return None
    message = error.message.strip().partition("\n")[0]
    line = f"{error.type}: {message}" if message else error.type
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def _stopped(job: Job, stop: str, at: float, status: int | None, reason: str | None, policy: Policy) -> Decision:
    if stop == "cancelled" or job.state == "cancelling":
        # By then the job says who wanted that, and why.
        return Decision("cancelled", _next(job, "stopped"), at, status=status, reason=job.reason or reason)
    if stop == "restart_stalled":
        return _goes_on(job, "interrupted", at, "restarted, since it had stalled", policy)
    from_start = stop == "restart_from_start"
    return Decision("interrupted", _next(job, "stopped"), at, status=status, reason="restarted", from_start=from_start)


def _on_lost(job: Job, policy: Policy) -> OnLost:
    return job.spec.on_lost or policy.on_lost


def _lost(job: Job, at: float, reason: str, on_lost: OnLost, policy: Policy) -> Decision:
    if on_lost == "fail":
        return Decision("lost", _next(job, "lose_for_good"), at, reason=reason)
    return _goes_on(job, "lost", at, reason, policy)


def _goes_on(job: Job, outcome: RunOutcome, at: float, reason: str, policy: Policy, *, charge: bool = True) -> Decision:
    """It is run again, since its policy says so; but not for ever where it saves nothing.

    What is not charged costs an attempt then, and its backoff.
    """
    futile = 0 if job.has_advanced else 1 + (0 if job.run is None else job.run.futile)
    if futile >= POISON_LIMIT and (not charge or job.attempts >= job.spec.retries):
        return _failed(job, Decision(outcome, "failed", at, reason=f"poison: {reason}", charge=charge), policy)
    return Decision(outcome, _next(job, "lose"), at, reason=reason, charge=charge, futile=futile)


def _failed(job: Job, failed: Decision, policy: Policy) -> Decision:
    if job.attempts >= job.spec.retries:
        return _with(failed, state=_next(job, "fail_for_good"))
    attempts = job.attempts + 1
    delay = retry_delay(job.spec.backoff_s, attempts, policy.jitter)
    return _with(failed, state=_next(job, "fail"), charge=True, due_at=failed.at + delay)


def _with(base: Decision, **changes: object) -> Decision:
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    return Decision(**{**fields, **changes})
