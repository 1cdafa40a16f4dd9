"""The closed union of writes. Each is one guarded step of state and journal, and stands or falls alone.

The journal's kinds and what their `data` says beside job, run and by; a field without a value is left out:

    submitted           queue
    started             seat
    ended               outcome, status, reason, and the evidence that EndRun.data carries
    retry               due_at, attempts
    requeued, due       -
    succeeded, failed   -
    cancelled           -
    cancel_requested    stop, force, reason
    restart_requested   stop, force, reason
    resumed             failed_items, reason
    (any other)         what its Note says
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Raw, Struct

from jobkeep.protocol.vocabulary import JobState, OnConflict, RunOutcome
from jobkeep.protocol.worker import ItemKey
from jobkeepd.core.model import ErrorInfo, FailedItem, Identity, JobSpec, Peer, RunRef, Usage


class NewJob(Struct, frozen=True):
    """`id` is drawn by the caller; `spec` has no environment any more, `environment` is its hash."""

    id: str
    spec: JobSpec
    environment: str | None


class SubmitJobs(Struct, frozen=True, kw_only=True):
    """Insert all jobs as queued, or none. -> Submitted.

    With `request`, the same uid and id answer as the first time (`digest` differs: RequestMismatch). A `key`
    that a live job has: `reject` raises KeyTaken, `return` answers with that job (single submits only).
    `environments` are (hash, encoded) pairs that may not be stored yet. Journal: submitted, one per job.
    """

    jobs: tuple[NewJob, ...]
    environments: tuple[tuple[str, bytes], ...] = ()
    by: Peer
    at: float
    request: str | None = None
    digest: str = ""
    on_conflict: OnConflict = "reject"


class Submitted(Struct, frozen=True):
    ids: tuple[str, ...]
    state: JobState
    created: bool  # False: the answer of an earlier request, or a live job with the key


class ClaimRun(Struct, frozen=True, kw_only=True):
    """Open the next run of a queued job, as `starting` on `seat`. -> Job (with that run), or None if not queued.

    The job stays queued; run.number and fence each rise by one. A second claim while a run is open gives None.
    """

    job: str
    seat: str
    epoch: int
    cookie: str
    at: float


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
    identity: Identity | None = None


class SaveCheckpoint(Struct, frozen=True, kw_only=True):
    """Cursor, state, tallies, failed items: together. A seq that is stored already changes nothing (no error).

    `failed` rows are upserted as of this run, then `resolved` ones deleted; progress.failed_items is how many
    are left.
    Journal: none (a checkpoint is a position, not an event); the job's checkpoint_seq/at say it.
    """

    run: RunRef
    seq: int
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
    data: dict[str, Any] = {}  # evidence, for the journal


class RequestStop(Struct, frozen=True, kw_only=True):
    """Record a person's wish to end a run: cancel (running -> cancelling) or restart. Queued and scheduled jobs with
    no open run are cancelled at once. -> Job. Raises IllegalTransition. Journal: cancel_requested |
    restart_requested (| cancelled).

    `stop` is what job.stop becomes: cancelled | restart | restart_from_start.
    """

    job: str
    stop: str
    by: Peer
    at: float
    force: bool = False
    reason: str | None = None


class ResumeJob(Struct, frozen=True, kw_only=True):
    """failed | cancelled -> queued (with `failed_items` also succeeded). Attempts start anew. -> Job.

    Raises IllegalTransition, KeyTaken (its key is live again). Clears ended_at, outcome, reason, error and the
    result. Journal: resumed.
    """

    job: str
    by: Peer
    at: float
    failed_items: bool = False
    reason: str | None = None


class MakeDue(Struct, frozen=True, kw_only=True):
    """scheduled jobs whose due_at has come -> queued. -> tuple of job ids. Journal: due, one per job."""

    at: float
    limit: int = 1000


class Note(Struct, frozen=True, kw_only=True):
    """A journal entry without a change of state, such as daemon_started."""

    kind: str
    at: float
    job: str | None = None
    run: int | None = None
    by: Peer | None = None
    data: dict[str, Any] = {}


Change: TypeAlias = (
    SubmitJobs | ClaimRun | RevokeClaim | MarkRunning | SaveCheckpoint | SaveProgress | EndRun | RequestStop
    | ResumeJob | MakeDue | Note
)  # fmt: skip
