"""The closed union of writes. Each is one guarded step of state and journal, and stands or falls alone.

The journal's kinds and what their `data` says beside job, run and by; a field without a value is left out:

    submitted           queue, blocked, due_at
    blocked             on (lock | limit), lock, label: a queued job waits
    unblocked           on: what it waited for may be had
    started             seat
    ended               outcome, status, reason, and the evidence that EndRun.data carries
    retry               due_at, attempts
    requeued, due, succeeded, cancelled  -
    failed              reason of one that was never started; after: the job by whose end it failed
    cancel_requested    stop, force, reason
    restart_requested   stop, force, reason
    resumed             failed_items, reason
    fenced              fence, reason: writes of its run are refused from now on
    lock_acquired       lock, token; of a client with `by`
    lock_released       lock, token, reason (released | given_up | expired | holder_died | max_hold |
                        session_died)
    lock_reset          lock, token, reason, and whom it was taken from: uid, pid, or the unreadable job
    queue_paused, queue_resumed, queue_limited  queue, reason; limit, without: that of the configuration
    signalled           signal, pid, boot_id, start_ticks, pidfd_inode, scope, command, evidence, reason, cause, family
    survived            processes (pid, command, state, …) that SIGKILL has not ended for 5 s
    schedule_…           see schedule_changes.py
    removed             reason: the job is no more
    (any other)         what its Note says; job, where that was removed before
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Raw, Struct

from jobkeep.protocol.vocabulary import JobState, OnConflict, RunOutcome
from jobkeep.protocol.worker import ItemKey
from jobkeepd.core.line import Rule
from jobkeepd.core.model import ErrorInfo, FailedItem, Identity, JobSpec, Moment, Peer, RunRef, Usage
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.store.queue_changes import ControlQueue, UnblockLimited
from jobkeepd.store.removal_changes import (
    EraseRemoved,
    ForgetEnvironments,
    ForgetEvents,
    ForgetLeftovers,
    ForgetRequests,
    RemoveJobs,
)
from jobkeepd.store.schedule_changes import ControlSchedule, FireSchedule, PutSchedule, RemoveSchedule
from jobkeepd.store.wait_changes import EndWait, RedateWaits, SettleParents


class NewJob(Struct, frozen=True):
    """`id` is drawn by the caller; `spec` has no environment any more, `environment` is its hash."""

    id: str
    spec: JobSpec
    environment: str | None


class SubmitJobs(Struct, frozen=True, kw_only=True):
    """Insert all jobs as queued, or as scheduled until they are due, or none. -> Submitted.

    With `request`, the same uid and id answer as the first time (`digest` differs: RequestMismatch). A `key` that a
    live job has: see core/uniqueness.py, default reject; refused is KeyTaken. Other jobs are cancelled by it as by
    RequestStop; those of other users only with `others`, else NotYours. A `lock` that is held, or that another live job
    is going to take: `reject` raises LockTaken or KeyTaken, `return` answers with that job, else the job waits. Many
    jobs know only `reject` for keys. `environments` are (hash, encoded) pairs that may not be stored yet. Journal:
    submitted, one per job.
    """

    jobs: tuple[NewJob, ...]
    environments: tuple[tuple[str, bytes], ...] = ()
    by: Peer
    at: float
    request: str | None = None
    digest: str = ""
    on_conflict: OnConflict | None = None
    others: bool = True
    most_waiting: int | None = None  # jobs of `by` that are not started, with these: else LimitReached
    now: Moment | None = None  # for leases, and queue_timeout; without it none is over
    rules: Mapping[str, Rule] = {}  # of queues
    limits: Mapping[str, int] = {}  # per value of a label


class Submitted(Struct, frozen=True, omit_defaults=True):
    ids: tuple[str, ...]
    state: JobState
    created: bool  # False: the answer of an earlier request, or a live job with the key
    stopping: tuple[str, ...] = ()  # jobs whose runs are to be ended for it


class ClaimRun(Struct, frozen=True, kw_only=True):
    """Open the next run of a queued job, as `starting` on `seat`. -> Job (with that run), or None if not queued.

    The job stays queued; run.number and fence each rise by one. A second claim while a run is open gives None. So
    does one of a job that waits, or whose lock or label is at its limit: then it waits from now on (journal: blocked).
    """

    job: str
    seat: str
    epoch: int
    cookie: str
    at: float
    now: Moment | None = None
    ttl_s: float = 60.0  # of the lease of its lock
    limits: Mapping[str, int] = {}  # per value of a label


class RevokeClaim(Struct, frozen=True, kw_only=True):
    """Undo a claim whose start was never sent, or provably never ran: the run goes, the fence stays risen.

    A job that was to be cancelled meanwhile is cancelled by it. Journal: none (| cancelled).
    """

    run: RunRef


class MarkRunning(Struct, frozen=True, kw_only=True):
    """The leader passed its gate. Job queued -> running, run -> running. Journal: started.

    A job that was to be cancelled meanwhile is cancelling. The job's outcome, reason and error, those of the run
    before, are cleared; its started_at stays that of its first run.
    """

    run: RunRef
    at: float
    now: Moment | None = None  # the same in the clock that timeouts go by
    identity: Identity | None = None


class SaveCheckpoint(Struct, frozen=True, kw_only=True):
    """Cursor, state, tallies, failed items: together. A seq that is stored already changes nothing (no error).

    `seq` None is the next one: of processes that do not count, and may be several.

    `failed` rows are upserted as of this run, then `resolved` ones deleted; progress.failed_items is how many
    are left.
    Journal: none (a checkpoint is a position, not an event); the job's checkpoint_seq/at say it.
    """

    run: RunRef
    seq: int | None
    cursor: Raw
    state: Raw
    done: int
    total: int | None
    note: str | None
    tallies: dict[str, int]
    failed: tuple[FailedItem, ...]
    resolved: tuple[ItemKey, ...]
    at: float


class SaveProgress(Struct, frozen=True, kw_only=True):
    """Progress between checkpoints. `tallies` None leaves them. Journal: none."""

    run: RunRef
    done: int
    total: int | None
    note: str | None
    tallies: dict[str, int] | None
    at: float


class EndRun(Struct, frozen=True, kw_only=True):
    """The run has ended; the job goes to `state`. Guard: the fence, and the run is not ended. Journal: ended, then
    the job's own entry where it ended (succeeded | failed | cancelled) or goes on (retry | requeued).

    `charge` adds one to attempts. `due_at` is when a retry is due (state `scheduled`). Stop is cleared.
    `from_start` removes checkpoint, progress and failed items. A job that ended keeps its key free again.
    """

    run: RunRef
    outcome: RunOutcome
    state: JobState
    at: float  # when the run ended
    status: int | None = None
    reason: str | None = None
    error: ErrorInfo | None = None
    result: Raw | None = None
    usage: Usage | None = None
    charge: bool = False
    due_at: float | None = None
    from_start: bool = False
    futile: int = 0  # how often in a row the job has been run again for nothing, with this time
    data: dict[str, Any] = {}  # evidence, for the journal


class RequestStop(Struct, frozen=True, kw_only=True):
    """Record a person's wish to end a run: cancel (running -> cancelling) or restart. Queued and scheduled jobs with
    no open run are cancelled at once. -> Job. Raises IllegalTransition. Journal: cancel_requested |
    restart_requested (| cancelled).

    `stop` is what job.stop becomes: cancelled | restart | restart_from_start | restart_stalled.
    """

    job: str
    stop: str
    by: Peer | None  # None: the daemon by itself
    at: float
    force: bool = False
    reason: str | None = None


class ResumeJob(Struct, frozen=True, kw_only=True):
    """failed | cancelled -> queued (with `failed_items` also succeeded). Attempts start anew. -> Job.

    Raises IllegalTransition, KeyTaken (its key is live again). It waits if its lock is held. Clears ended_at,
    outcome, reason, error and the result. Journal: resumed.
    """

    job: str
    by: Peer
    at: float
    now: Moment | None = None  # for queue_timeout
    rules: Mapping[str, Rule] = {}  # of queues: it joins the line anew
    failed_items: bool = False
    reason: str | None = None


class FenceRun(Struct, frozen=True, kw_only=True):
    """Refuse what the run writes from now on: its fence, and the token of its lock, rise. It stays open. -> Job.

    Journal: fenced.
    """

    run: RunRef
    at: float
    reason: str


class SaveStep(Struct, frozen=True, kw_only=True):
    """The result of the job's step of that ordinal, counted from 0. One that is stored changes nothing (no error).

    Raises IllegalTransition for an ordinal that is not the next. Journal: none.
    """

    run: RunRef
    ordinal: int
    name: str
    result: Raw
    at: float


class MakeDue(Struct, frozen=True, kw_only=True):
    """scheduled jobs whose due_at has come -> queued. -> tuple of job ids. Journal: due, one per job."""

    at: float
    now: Moment | None = None  # for queue_timeout
    limit: int = 1000
    rules: Mapping[str, Rule] = {}  # of the queues, by name


class Note(Struct, frozen=True, kw_only=True):
    """A journal entry without a change of state, such as daemon_started."""

    kind: str
    at: float
    job: str | None = None
    run: int | None = None
    by: Peer | None = None
    data: dict[str, Any] = {}


Change: TypeAlias = (
    SubmitJobs | ClaimRun | RevokeClaim | MarkRunning | SaveCheckpoint | SaveProgress | SaveStep | FenceRun | EndRun
    | RequestStop | ResumeJob | MakeDue | EndWait | RedateWaits | SettleParents | AcquireLock | RenewLocks
    | ReleaseLock | ResetLock
    | PutSchedule | ControlSchedule | RemoveSchedule | FireSchedule | ControlQueue | UnblockLimited
    | RemoveJobs | EraseRemoved | ForgetEnvironments | ForgetEvents | ForgetRequests | ForgetLeftovers | Note
)  # fmt: skip
