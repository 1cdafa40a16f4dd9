"""The steps of a job, and `perform`, which carries out any change on a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from jobkeepd.core.lifecycle import (
    Event,
    Verdict,
    advance,
    may_cancel,
    may_restart,
    may_resume,
    may_resume_failed_items,
)
from jobkeepd.core.model import Job, JobState
from jobkeepd.errors import IllegalTransition, KeyTaken, RequestMismatch
from jobkeepd.store.changes import (
    Change,
    ClaimRun,
    EndRun,
    MakeDue,
    MarkRunning,
    NewJob,
    Note,
    RequestStop,
    ResumeJob,
    RevokeClaim,
    SaveCheckpoint,
    SaveProgress,
    SubmitJobs,
    Submitted,
)
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.run_steps import (
    claim_run,
    end_run,
    has_open_run,
    mark_running,
    revoke_claim,
    save_checkpoint,
    save_progress,
)

_FRESH: Final[JobState] = "queued"  # where jobs begin, and begin again


def submit_jobs(change: SubmitJobs, ledger: Ledger) -> Submitted:
    if change.request is not None:
        known = ledger.answered(change.by.uid, change.request)
        if known is not None:
            digest, answer = known
            if digest != change.digest:
                raise RequestMismatch(change.request)
            return replace(answer, created=False)
    answer = _holder_instead(change, ledger) or _insert(change, ledger)
    if change.request is not None:
        ledger.remember(change.by.uid, change.request, change.digest, answer, change.at)
    return answer


def _holder_instead(change: SubmitJobs, ledger: Ledger) -> Submitted | None:
    """The live job that answers for this one, if any. Raises KeyTaken where it must not."""
    keyed: dict[str, NewJob] = {}
    for new in change.jobs:
        key = new.spec.key
        if key is None:
            continue
        if key in keyed:
            raise KeyTaken(key, keyed[key].id, _FRESH, change.at)
        keyed[key] = new
        holder = ledger.holder(key)
        if holder is None:
            continue
        if change.on_conflict == "return" and len(change.jobs) == 1:
            return Submitted((holder.id,), holder.state, created=False)
        raise KeyTaken(key, holder.id, holder.state, holder.created_at)
    return None


def _insert(change: SubmitJobs, ledger: Ledger) -> Submitted:
    first = ledger.take_seqs(len(change.jobs))
    jobs = [
        Job(
            seq=seq,
            id=new.id,
            spec=new.spec,
            environment=new.environment,
            owner=change.by.uid,
            state=_FRESH,
            created_at=change.at,
        )
        for seq, new in enumerate(change.jobs, first)
    ]
    ledger.add(jobs, change.environments)
    for job in jobs:
        ledger.log("submitted", change.at, job, by=change.by, data={"queue": job.spec.queue})
    return Submitted(tuple(job.id for job in jobs), _FRESH, created=True)


def _check(verdict: Verdict, job: Job, action: str) -> None:
    if not verdict.allowed:
        raise IllegalTransition(job.id, job.state, action, verdict.reason or "")


def request_stop(change: RequestStop, ledger: Ledger) -> Job:
    job = ledger.job(change.job)
    action = "cancel" if change.stop == "cancelled" else "restart"
    _check(may_cancel(job.state) if action == "cancel" else may_restart(job.state), job, action)
    if not has_open_run(job):
        after = replace(
            job,
            state=advance(job.state, "cancel") or job.state,
            due_at=None,
            ended_at=change.at,
            stop=None,
            outcome="cancelled",
            reason=change.reason,
            error=None,
        )
    elif job.state == "queued":  # starting: the wish waits for the start, or for the claim to be revoked
        after = replace(job, stop=change.stop)
    else:
        state = advance(job.state, "cancel" if action == "cancel" else "restart")
        after = replace(job, state=state or job.state, stop=change.stop)
    ledger.put(job, after)
    data: dict[str, Any] = {"stop": change.stop}
    if change.force:
        data["force"] = True
    if change.reason is not None:
        data["reason"] = change.reason
    run = job.run.number if job.run is not None and has_open_run(job) else None
    ledger.log(f"{action}_requested", change.at, job, run, change.by, data)
    if after.state == "cancelled":
        ledger.log("cancelled", change.at, job, by=change.by)
    return after


def _resumed(state: JobState, event: Event) -> JobState:
    after = advance(state, event)
    assert after is not None, (state, event)  # its verdict was asked for before
    return after


def resume_job(change: ResumeJob, ledger: Ledger) -> Job:
    job = ledger.job(change.job)
    if change.failed_items:
        _check(may_resume_failed_items(job.state, job.progress.failed_items), job, "resume")
    else:
        _check(may_resume(job.state), job, "resume")
    key = job.spec.key
    holder = ledger.holder(key) if key is not None else None
    if key is not None and holder is not None:
        raise KeyTaken(key, holder.id, holder.state, holder.created_at)
    after = replace(
        job,
        state=_resumed(job.state, "resume_items" if change.failed_items else "resume"),
        attempts=0,
        due_at=None,
        ended_at=None,
        stop=None,
        outcome=None,
        reason=None,
        error=None,
        only_failed=change.failed_items,
    )
    ledger.put(job, after)
    ledger.save_result(job, None)
    data: dict[str, Any] = {"failed_items": True} if change.failed_items else {}
    if change.reason is not None:
        data["reason"] = change.reason
    ledger.log("resumed", change.at, job, by=change.by, data=data)
    return after


def make_due(change: MakeDue, ledger: Ledger) -> tuple[str, ...]:
    jobs = ledger.due(change.at, change.limit)
    for job in jobs:
        ledger.put(job, replace(job, state=advance(job.state, "due") or job.state, due_at=None))
        ledger.log("due", change.at, job)
    return tuple(job.id for job in jobs)


def note(change: Note, ledger: Ledger) -> None:
    job = ledger.job(change.job) if change.job is not None else None
    ledger.log(change.kind, change.at, job, change.run, change.by, change.data)


_STEPS: Final[Mapping[type[Any], Callable[[Any, Ledger], Any]]] = {
    SubmitJobs: submit_jobs,
    ClaimRun: claim_run,
    RevokeClaim: revoke_claim,
    MarkRunning: mark_running,
    SaveCheckpoint: save_checkpoint,
    SaveProgress: save_progress,
    EndRun: end_run,
    RequestStop: request_stop,
    ResumeJob: resume_job,
    MakeDue: make_due,
    Note: note,
}


def perform(change: Change, ledger: Ledger) -> Any:
    """Carry out one change. A DaemonError it raises means: refused."""
    return _STEPS[type(change)](change, ledger)
