"""`perform`, which carries out any change on a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from jobkeepd.store.changes import (
    Change,
    ClaimRun,
    EndRun,
    FenceRun,
    MakeDue,
    MarkRunning,
    Note,
    RequestStop,
    ResumeJob,
    RevokeClaim,
    SaveCheckpoint,
    SaveProgress,
    SaveStep,
    SubmitJobs,
)
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.limit_steps import unblock_limited
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.store.lock_steps import acquire_lock, release_lock, renew_locks, reset_lock, settle_parents
from jobkeepd.store.queue_changes import ControlQueue, UnblockLimited
from jobkeepd.store.queue_steps import control_queue
from jobkeepd.store.removal_changes import (
    EraseRemoved,
    ForgetEnvironments,
    ForgetEvents,
    ForgetLeftovers,
    ForgetRequests,
    RemoveJobs,
)
from jobkeepd.store.removal_steps import (
    erase_removed,
    forget_environments,
    forget_events,
    forget_leftovers,
    forget_requests,
    remove_jobs,
)
from jobkeepd.store.run_steps import (
    claim_run,
    end_run,
    fence_run,
    mark_running,
    revoke_claim,
    save_checkpoint,
    save_progress,
    save_step,
)
from jobkeepd.store.schedule_changes import ControlSchedule, FireSchedule, PutSchedule, RemoveSchedule
from jobkeepd.store.schedule_steps import control_schedule, fire_schedule, put_schedule, remove_schedule
from jobkeepd.store.submit_steps import submit_jobs
from jobkeepd.store.wait_changes import EndWait, RedateWaits, SettleParents
from jobkeepd.store.wait_steps import end_wait, redate_waits
from jobkeepd.store.wish_steps import make_due, request_stop, resume_job


def note(change: Note, ledger: Ledger) -> None:
    """Of a job that was removed meanwhile it is kept all the same: what was signalled must stay on record."""
    job, data = None, change.data
    if change.job is not None:
        if ledger.is_there(change.job):
            job = ledger.job(change.job)
        else:
            data = {**data, "job": change.job}
    ledger.log(change.kind, change.at, job, change.run, change.by, data)


_STEPS: Final[Mapping[type[Any], Callable[[Any, Ledger], Any]]] = {
    SubmitJobs: submit_jobs,
    ClaimRun: claim_run,
    RevokeClaim: revoke_claim,
    MarkRunning: mark_running,
    SaveCheckpoint: save_checkpoint,
    SaveProgress: save_progress,
    SaveStep: save_step,
    FenceRun: fence_run,
    EndRun: end_run,
    RequestStop: request_stop,
    ResumeJob: resume_job,
    MakeDue: make_due,
    EndWait: end_wait,
    SettleParents: settle_parents,
    RedateWaits: redate_waits,
    AcquireLock: acquire_lock,
    RenewLocks: renew_locks,
    ReleaseLock: release_lock,
    ResetLock: reset_lock,
    PutSchedule: put_schedule,
    ControlSchedule: control_schedule,
    RemoveSchedule: remove_schedule,
    FireSchedule: fire_schedule,
    ControlQueue: control_queue,
    UnblockLimited: unblock_limited,
    RemoveJobs: remove_jobs,
    EraseRemoved: erase_removed,
    ForgetEnvironments: forget_environments,
    ForgetEvents: forget_events,
    ForgetRequests: forget_requests,
    ForgetLeftovers: forget_leftovers,
    Note: note,
}


def perform(change: Change, ledger: Ledger) -> Any:
    """Carry out one change. A DaemonError it raises means: refused."""
    return _STEPS[type(change)](change, ledger)
