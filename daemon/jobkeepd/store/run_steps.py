"""The steps of a run: claim, revoke, running, progress, checkpoint, end."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from msgspec.structs import replace

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core.lifecycle import Event, advance
from jobkeepd.core.model import Job, Progress, Run, RunRef, SavedCheckpoint
from jobkeepd.errors import IllegalTransition, StaleToken
from jobkeepd.store.changes import ClaimRun, EndRun, MarkRunning, RevokeClaim, SaveCheckpoint, SaveProgress
from jobkeepd.store.ledger import Ledger

_ENDINGS: Final[tuple[Event, ...]] = (
    "succeed", "fail", "fail_for_good", "stopped", "interrupt", "lose", "lose_for_good",
)  # fmt: skip


def has_open_run(job: Job) -> bool:
    return job.run is not None and job.run.state != "ended"


def _held(ledger: Ledger, ref: RunRef) -> tuple[Job, Run]:
    """The job and its open run, if that is the one `ref` names."""
    job = ledger.job(ref.job)
    run = job.run
    if run is None or run.state == "ended" or run.number != ref.number or run.fence != ref.fence:
        raise StaleToken(ref.id)
    return job, run


def claim_run(change: ClaimRun, ledger: Ledger) -> Job | None:
    job = ledger.job(change.job)
    if advance(job.state, "start") is None or has_open_run(job):
        return None
    run = Run(
        number=job.run.number + 1 if job.run else 1,
        fence=job.fence + 1,
        state="starting",
        seat=change.seat,
        epoch=change.epoch,
        cookie=change.cookie,
        claimed_at=change.at,
    )
    claimed = replace(job, run=run, fence=run.fence)
    ledger.put(job, claimed)
    if job.run is not None:
        ledger.shelve(job, job.run)
    return claimed


def revoke_claim(change: RevokeClaim, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    if run.state != "starting":
        raise IllegalTransition(job.id, job.state, "revoke the claim of", "its run is running")
    # A wish to cancel that was recorded while the run was starting comes true now: no run is left to obey it.
    cancelled = advance(job.state, "cancel") if job.stop == "cancelled" else None
    revoked = replace(job, run=ledger.unshelve(job))
    if cancelled is None:
        ledger.put(job, revoked)
        return
    at = run.claimed_at
    ledger.put(job, replace(revoked, state=cancelled, stop=None, ended_at=at, outcome="cancelled"))
    ledger.log("cancelled", at, job)


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
            reason=None,
            error=None,
            run=replace(run, state="running", started_at=change.at, identity=change.identity),
        ),
    )
    ledger.log("started", change.at, job, run.number, data={"seat": run.seat})


def save_progress(change: SaveProgress, ledger: Ledger) -> None:
    job, _ = _held(ledger, change.run)
    tallies = job.progress.tallies if change.tallies is None else change.tallies
    progress = Progress(change.done, change.total, change.note, tallies, job.progress.failed_items)
    ledger.put(job, replace(job, progress=progress), change.at)


def save_checkpoint(change: SaveCheckpoint, ledger: Ledger) -> None:
    job, run = _held(ledger, change.run)
    if change.seq <= job.checkpoint_seq:
        return
    failed = {(item.batch, item.key): replace(item, run=run.number) for item in change.failed}
    resolved = [(item.batch, item.key) for item in change.resolved]
    grown = ledger.record_items(job, failed, resolved, change.at) if failed or resolved else 0
    failed_items = job.progress.failed_items + grown
    progress = Progress(change.done, change.total, change.note, change.tallies, failed_items)
    after = replace(job, progress=progress, checkpoint_seq=change.seq, checkpoint_at=change.at)
    ledger.put(job, after, change.at)
    ledger.save_checkpoint(job, SavedCheckpoint(change.seq, change.cursor, change.state))


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


def _log_end(change: EndRun, job: Job, ledger: Ledger) -> None:
    data: dict[str, Any] = {**change.data, "outcome": change.outcome}
    if change.status is not None:
        data["status"] = change.status
    if change.reason is not None:
        data["reason"] = change.reason
    number = change.run.number
    ledger.log("ended", change.at, job, number, data=data)
    if change.state == "scheduled":
        ledger.log(
            "retry", change.at, job, number, data={"due_at": change.due_at, "attempts": job.attempts}
        )
    elif change.state == "queued":
        ledger.log("requeued", change.at, job, number)
    else:
        ledger.log(change.state, change.at, job, number)
