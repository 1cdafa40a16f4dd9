"""The steps of a run: claim, revoke, running, progress, checkpoint, end."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from msgspec.structs import replace

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core.lease import RunHolder
from jobkeepd.core.lifecycle import Event, advance
from jobkeepd.core.model import Job, Progress, Run, RunRef, SavedCheckpoint
from jobkeepd.errors import IllegalTransition, StaleToken
from jobkeepd.store.changes import (
    ClaimRun,
    EndRun,
    FenceRun,
    MarkRunning,
    RevokeClaim,
    SaveCheckpoint,
    SaveProgress,
    SaveStep,
)
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.limit_steps import let_in_after, let_in_beside, wait_for_limit
from jobkeepd.store.lock_steps import job_is_over, pass_on, run_is_over, take_for_run

_ENDINGS: Final[tuple[Event, ...]] = (
    "succeed", "fail", "fail_for_good", "stopped", "interrupt", "lose", "lose_for_good",
)  # fmt: skip


def has_open_run(job: Job) -> bool:
    return job.run is not None and job.run.state != "ended"


def _held(ledger: Ledger, ref: RunRef) -> tuple[Job, Run]:
    """The job and its open run, if that is the one `ref` names."""
    if not ledger.is_there(ref.job):  # it was removed, after its end
        raise StaleToken(ref.id)
    job = ledger.job(ref.job)
    run = job.run
    if run is None or run.state == "ended" or run.number != ref.number or run.fence != ref.fence:
        raise StaleToken(ref.id)
    return job, run


def claim_run(change: ClaimRun, ledger: Ledger) -> Job | None:
    job = ledger.job(change.job)
    if advance(job.state, "start") is None or has_open_run(job) or job.blocked is not None:
        return None
    number = job.run.number + 1 if job.run else 1
    if job.spec.labels and wait_for_limit(job, change.limits, change.at, ledger):
        if job.spec.lock is not None:
            pass_on(job.spec.lock, ledger, change.at)  # it may have been let in for that
        return None
    token = None
    if job.spec.lock is not None:
        lock = take_for_run(job, number, change, ledger)
        if lock is None:
            ledger.put(job, replace(job, blocked="lock"))
            ledger.log("blocked", change.at, job, data={"on": "lock", "lock": job.spec.lock})
            let_in_after(job, change.at, ledger)
            return None
        token = lock.token
    steps = 0 if job.run is None or job.spec.function is None else ledger.count_steps(job)
    run = Run(
        number=number,
        fence=job.fence + 1,
        state="starting",
        seat=change.seat,
        epoch=change.epoch,
        cookie=change.cookie,
        claimed_at=change.at,
        claimed=None if change.now is None else change.now.monotonic,
        lock_token=token,
        steps=steps,
        saved_before=job.checkpoint_seq + steps,
        futile=0 if job.run is None else job.run.futile,
    )
    claimed = replace(job, run=run, fence=run.fence)
    ledger.put(job, claimed)
    ledger.serve(claimed)
    if job.run is not None:
        ledger.shelve(job, job.run)
    let_in_beside(claimed, change.limits, change.at, ledger)
    return claimed


def revoke_claim(change: RevokeClaim, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    if run.state != "starting":
        raise IllegalTransition(job.id, job.state, "revoke the claim of", "its run is running")
    # A wish to cancel that was recorded while the run was starting comes true now: no run is left to obey it.
    cancelled = advance(job.state, "cancel") if job.stop == "cancelled" else None
    revoked = replace(job, run=ledger.unshelve(job))
    at = run.claimed_at
    if cancelled is None:
        ledger.put(job, revoked)
        run_is_over(job, ledger, at)
        return
    over = replace(revoked, state=cancelled, stop=None, ended_at=at, outcome="cancelled")
    ledger.put(job, over)
    run_is_over(job, ledger, at)
    ledger.log("cancelled", at, job)
    job_is_over(over, ledger, at)


def mark_running(change: MarkRunning, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    state = advance(job.state, "start")
    if state is None or run.state != "starting":
        raise IllegalTransition(job.id, job.state, "start", f"the job is {job.state} and its run {run.state}")
    if job.stop == "cancelled":  # asked for while the run was starting
        state = advance(state, "cancel") or state
    ledger.put(
        job,
        replace(
            job,
            state=state,
            started_at=change.at if job.started_at is None else job.started_at,
            outcome=None,
            reason=job.reason if job.stop == "cancelled" else None,  # why it is to be cancelled
            error=None,
            run=replace(run, state="running", started_at=change.at, began=change.now, identity=change.identity),
        ),
    )
    if job.spec.queue_timeout_s is not None:
        ledger.put_deadline(job, None)
    ledger.log("started", change.at, job, run.number, data={"seat": run.seat})


def save_progress(change: SaveProgress, ledger: Ledger) -> None:
    job, _ = _held(ledger, change.run)
    tallies = job.progress.tallies if change.tallies is None else change.tallies
    progress = Progress(change.done, change.total, change.note, tallies, job.progress.failed_items)
    ledger.put(job, replace(job, progress=progress), change.at)


def save_checkpoint(change: SaveCheckpoint, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    seq = job.checkpoint_seq + 1 if change.seq is None else change.seq
    if seq <= job.checkpoint_seq:
        return
    failed = {(item.batch, item.key): replace(item, run=run.number) for item in change.failed}
    resolved = [(item.batch, item.key) for item in change.resolved]
    grown = ledger.record_items(job, failed, resolved, change.at) if failed or resolved else 0
    failed_items = job.progress.failed_items + grown
    progress = Progress(change.done, change.total, change.note, change.tallies, failed_items)
    after = replace(job, progress=progress, checkpoint_seq=seq, checkpoint_at=change.at)
    ledger.put(job, after, change.at)
    ledger.save_checkpoint(job, SavedCheckpoint(seq, change.cursor, change.state))


def save_step(change: SaveStep, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    count = ledger.count_steps(job)
    if change.ordinal < count:
        return
    if change.ordinal > count:
        raise IllegalTransition(job.id, job.state, "save a step of", f"step {count} comes before step {change.ordinal}")
    ledger.put(job, replace(job, run=replace(run, steps=count + 1)), change.at)
    ledger.save_step(job, change.ordinal, change.name, change.result, change.at)


def fence_run(change: FenceRun, ledger: Ledger) -> Job:
    job, run = _held(ledger, change.run)
    fence = job.fence + 1
    lock = None if job.spec.lock is None else ledger.lock(job.spec.lock)
    if lock is not None and lock.holder == RunHolder(job.id, run.number):
        lock = replace(lock, token=lock.token + 1)
        ledger.put_lock(lock)
        run = replace(run, lock_token=lock.token)
    fenced = replace(job, fence=fence, run=replace(run, fence=fence, fenced=change.reason))
    ledger.put(job, fenced)
    ledger.log("fenced", change.at, job, run.number, data={"fence": fence, "reason": change.reason})
    return fenced


@cache
def _may_end_as(state: JobState) -> frozenset[JobState | None]:
    """The states to which the end of the open run of a job in `state` can lead."""
    return frozenset(advance(state, event) for event in _ENDINGS)


def end_run(change: EndRun, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    # A wish to cancel that came while the run was starting counts as if the job were cancelling already.
    if change.state not in _may_end_as("cancelling" if job.stop == "cancelled" else job.state):
        raise IllegalTransition(job.id, job.state, "end", f"a {job.state} job does not become {change.state}")
    ended = change.state in ENDED_STATES
    after = replace(
        job,
        state=change.state,
        attempts=job.attempts + change.charge,
        due_at=change.due_at,
        ended_at=change.at if ended else None,
        stop=None,
        only_failed=job.only_failed and not ended and not change.from_start,
        outcome=change.outcome,
        reason=change.reason,
        error=change.error,
        run=replace(
            run,
            state="ended",
            ended_at=change.at,
            outcome=change.outcome,
            status=change.status,
            reason=change.reason,
            usage=change.usage,
            futile=change.futile,
            steps=0 if change.from_start else run.steps,
        ),
    )
    if change.from_start:
        after = replace(after, progress=Progress(), checkpoint_seq=0, checkpoint_at=None)
    ledger.put(job, after)
    if change.from_start:
        ledger.forget_progress(job)
    if change.result is not None:
        ledger.save_result(job, change.result)
    _log_end(change, after, ledger)
    run_is_over(job, ledger, change.at)
    if ended:
        job_is_over(after, ledger, change.at)


def _log_end(change: EndRun, job: Job, ledger: Ledger) -> None:
    data: dict[str, Any] = {**change.data, "outcome": change.outcome}
    if change.status is not None:
        data["status"] = change.status
    if change.reason is not None:
        data["reason"] = change.reason
    number = change.run.number
    ledger.log("ended", change.at, job, number, data=data)
    if change.state == "scheduled":
        ledger.log("retry", change.at, job, number, data={"due_at": change.due_at, "attempts": job.attempts})
    elif change.state == "queued":
        ledger.log("requeued", change.at, job, number)
    else:
        ledger.log(change.state, change.at, job, number)
