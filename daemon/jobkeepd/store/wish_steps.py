"""The steps of people's wishes for a job: stop it, resume it; and of time, which makes it due."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from jobkeepd.core.ending import ended_without_run
from jobkeepd.core.lifecycle import (
    Event,
    Verdict,
    advance,
    may_cancel,
    may_restart,
    may_resume,
    may_resume_failed_items,
)
from jobkeepd.core.model import Blocked, Job, JobState
from jobkeepd.core.wording import cancelled_by
from jobkeepd.errors import IllegalTransition, KeyTaken
from jobkeepd.store.after_steps import still_waits, wait_again
from jobkeepd.store.changes import MakeDue, RequestStop, ResumeJob
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.line_steps import Lines
from jobkeepd.store.lock_steps import find, gives_way, job_is_over, settle_at_once
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.store.wait_steps import begin_wait


def _check(verdict: Verdict, job: Job, action: str) -> None:
    if not verdict.allowed:
        raise IllegalTransition(job.id, job.state, action, verdict.reason or "")


def request_stop(change: RequestStop, ledger: Ledger) -> Job:
    job = ledger.job(change.job)
    action = "cancel" if change.stop == "cancelled" else "restart"
    _check(may_cancel(job.state) if action == "cancel" else may_restart(job.state), job, action)
    if not has_open_run(job):
        after = ended_without_run(job, "cancel", change.at, cancelled_by(change.by, change.reason))
    elif job.state == "queued":  # starting: the wish waits for the start, or for the claim to be revoked
        after = replace(job, stop=change.stop, reason=_why(change, job))
    else:
        state = advance(job.state, "cancel" if action == "cancel" else "restart")
        after = replace(job, state=state or job.state, stop=change.stop, reason=_why(change, job))
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
        job_is_over(after, ledger, change.at)
        gives_way(job, ledger, change.at)
    return after


def _why(change: RequestStop, job: Job) -> str | None:
    """What the job's end will be put down to. The first who wants it cancelled is the cause, whoever insists later."""
    if change.stop != "cancelled" or job.stop == "cancelled":
        return job.reason
    return cancelled_by(change.by, change.reason)


def _resumed(state: JobState, event: Event) -> JobState:
    after = advance(state, event)
    assert after is not None, (state, event)  # its verdict was asked for before
    return after


def _lock_taken(job: Job, ledger: Ledger) -> Blocked | None:
    return None if job.spec.lock is None or find(job.spec.lock, ledger).holder is None else "lock"


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
    settle_at_once(job, ledger)
    lines = Lines(change.rules, change.at, ledger)
    place = lines.join(job.spec)
    lines.keep()
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
        run=None if job.run is None else replace(job.run, futile=0),
        key_slot=0,
        line_at=place.line_at,
        turn_at=place.turn_at,
        blocked=wait_again(job, ledger) or _lock_taken(job, ledger),
    )
    ledger.put(job, after)
    ledger.save_result(job, None)
    data: dict[str, Any] = {"failed_items": True} if change.failed_items else {}
    if change.reason is not None:
        data["reason"] = change.reason
    ledger.log("resumed", change.at, job, by=change.by, data=data)
    begin_wait(job, change.now, change.at, ledger)
    return after


def make_due(change: MakeDue, ledger: Ledger) -> tuple[str, ...]:
    jobs, lines = ledger.due(change.at, change.limit), Lines(change.rules, change.at, ledger)
    for job in jobs:
        queued = replace(job, state=advance(job.state, "due") or job.state, due_at=None)
        if job.run is None:  # a retry has been started before
            place = lines.join(job.spec)
            blocked: Blocked | None = "key" if job.key_slot else still_waits(job, ledger)
            queued = replace(queued, line_at=place.line_at, turn_at=place.turn_at, blocked=blocked)
        ledger.put(job, queued)
        ledger.log("due", change.at, job)
        if job.run is None:
            begin_wait(job, change.now, change.at, ledger)
    lines.keep()
    return tuple(job.id for job in jobs)
