"""The Store protocol: its docstrings are the contract, tests/contract/ holds every implementation to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload

from msgspec import Raw, Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.metrics import Histogram
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.core.queueing import Control
from jobkeepd.core.retention import Ended
from jobkeepd.core.secrets import Kept
from jobkeepd.core.weight import HEAVIEST
from jobkeepd.store.changes import Change, ClaimRun, FenceRun, MakeDue, RequestStop, ResumeJob, SubmitJobs, Submitted
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.store.queue_changes import ControlQueue
from jobkeepd.store.removal_changes import (
    EraseRemoved,
    ForgetEnvironments,
    ForgetRequests,
    Leftover,
    Removed,
    RemoveJobs,
)
from jobkeepd.store.schedule_changes import ControlSchedule, FireSchedule, PutSchedule, RemoveSchedule


class JobFilter(Struct, frozen=True):
    """Which jobs a list shows; all conditions hold.

    `since`: created or ended at or after it. `before`: seq less than it.
    """

    states: tuple[JobState, ...] | None = None
    queue: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    since: float | None = None
    before: int | None = None
    limit: int = 100

    def matches(self, job: Job) -> bool:
        labels = job.spec.labels
        return (
            (self.states is None or job.state in self.states)
            and (self.queue is None or job.spec.queue == self.queue)
            and all(labels.get(key) == value for key, value in self.labels)
            and (
                self.since is None
                or job.created_at >= self.since
                or (job.ended_at is not None and job.ended_at >= self.since)
            )
            and (self.before is None or job.seq < self.before)
        )


class Rows(Struct, frozen=True):
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class Store(Protocol):
    """Current truth and its journal.

    Every method may raise StorageFailed (outcome unknown; the daemon must stop) and, for writes, StorageFull
    (nothing was written). The start, the end and the revoked claim of a run are never refused for want of room: they
    wait for it. Times are UTC seconds given by the caller: the store reads no clock.
    """

    @property
    def epoch(self) -> int:
        """Rises by one with each open of the store by a daemon."""

    @property
    def commit_seconds(self) -> Histogram:
        """How long changes took from their turn to being durable, since the store was opened."""

    @property
    def is_full(self) -> bool:
        """Whether changes are refused for want of room."""

    @property
    def database_epoch(self) -> str:
        """Random, drawn when the database was made."""

    @overload
    async def apply(self, change: SubmitJobs) -> Submitted: ...
    @overload
    async def apply(self, change: ClaimRun) -> Job | None: ...
    @overload
    async def apply(self, change: RequestStop | ResumeJob | FenceRun) -> Job: ...
    @overload
    async def apply(self, change: AcquireLock | ReleaseLock | ResetLock) -> Lock: ...
    @overload
    async def apply(self, change: RenewLocks) -> tuple[str, ...]: ...
    @overload
    async def apply(self, change: MakeDue) -> tuple[str, ...]: ...
    @overload
    async def apply(self, change: RemoveJobs) -> Removed: ...
    @overload
    async def apply(self, change: ForgetRequests) -> tuple[int, str] | None: ...
    @overload
    async def apply(self, change: EraseRemoved) -> bool: ...
    @overload
    async def apply(self, change: ForgetEnvironments) -> str | None: ...
    @overload
    async def apply(self, change: ControlQueue) -> Control: ...
    @overload
    async def apply(self, change: PutSchedule | ControlSchedule | RemoveSchedule) -> Schedule: ...
    @overload
    async def apply(self, change: FireSchedule) -> tuple[Schedule | None, Submitted | None]: ...
    @overload
    async def apply(self, change: Change) -> Any: ...
    async def apply(self, change: Change) -> Any:
        """Commit one change; returns once it is durable. Changes are applied in the order of the calls.

        Raises what the change's docstring names, UnknownJob for an id that is not there, StaleToken for a run
        that does not hold its job (any more). A refused change leaves no trace and does not affect others.
        """

    def post(self, change: Change, told: Callable[[Any], None]) -> None:
        """As apply, in the same order, without a task: `told` is called once, with the result or the exception."""

    def send(self, change: Change) -> None:
        """As apply, in the same order, without waiting. An error of it is reported through `on_failure`."""

    async def get(self, ref: str) -> Job:
        """A job by id or unique prefix. Raises UnknownJob, AmbiguousJob (with at most 10 matches)."""

    async def get_all(self, refs: Sequence[str]) -> Sequence[Job]:
        """As `get`, for many at once, in the order of `refs`. Raises for the first that is not there."""

    def cached(self, id: str) -> Job | None:
        """The job as of the last commit, if it is in memory; never waits."""

    async def runs(self, job: str) -> list[Run]:
        """All runs, oldest first."""

    async def queued(self, queue: str, limit: int, exclude: Sequence[str] = (), heaviest: int = HEAVIEST) -> list[Job]:
        """Queued jobs without an open run that are not blocked, by priority (highest first) then seq.

        `exclude` are left out. The last one is that with which the specs together weigh `heaviest` bytes.
        """

    async def open_runs(self) -> list[Job]:
        """Jobs with a run that is starting or running: what recovery has to decide on. Leaves out what is unreadable,
        as `queued` and `list` do."""

    async def open_seats(self) -> dict[str, str]:
        """The seats of all open runs by their names (JOB.NUMBER), also of jobs that cannot be read."""

    async def next_due(self) -> float | None:
        """The earliest due_at of a scheduled job."""

    async def overdue(self, now: float, limit: int) -> list[str]:
        """Jobs that have waited for their start for as long as they want to. `now` in monotonic seconds."""

    async def next_overdue(self) -> float | None:
        """When the next one will be, in monotonic seconds; or that job has been started or cancelled since."""

    async def counts(self) -> dict[tuple[str, JobState], int]:
        """How many jobs are in each (queue, state)."""

    async def checkpoint(self, job: str) -> SavedCheckpoint: ...

    async def failed_items(self, job: str, after: int, limit: int) -> list[FailedItem]:
        """By (batch, ordinal, key), skipping the first `after`."""

    async def result(self, job: str) -> Raw | None: ...

    async def steps(self, job: str) -> list[str]:
        """The names of its steps whose results are stored, in order."""

    async def step_result(self, job: str, ordinal: int) -> Raw | None: ...

    async def locks(self) -> list[Lock]:
        """Those that are held, by name."""

    async def ahead(self, job: Job) -> int:
        """How many queued jobs of its queue go first, at most MOST_COUNTED; blocked ones do not count."""

    async def holder(self, key: str) -> Job | None:
        """The live job that has the key."""

    async def lock(self, name: str) -> Lock | None:
        """None for one that was never held."""

    async def open_parents(self, job: str, limit: int) -> tuple[int, list[Job]]:
        """How many jobs it waits for, and the first of them by id."""

    async def waiting(self, lock: str) -> int:
        """How many jobs wait for the lock, at most MOST_COUNTED."""

    async def controls(self) -> Sequence[Control]:
        """What people have said about queues, by name."""

    async def schedules(self) -> Sequence[Schedule]:
        """By name."""

    async def ended(self, queue: str, since: float, until: float, limit: int) -> Sequence[Ended]:
        """Jobs of a queue that ended at or after `since` and before `until`, the oldest first."""

    async def first_event(self) -> int:
        """The seq from which on the journal is whole."""

    async def leftovers(self, limit: int) -> Sequence[Leftover]:
        """Output of removed jobs that may still be on disk."""

    async def environments_of(self, behind: int, limit: int) -> tuple[set[str], int | None]:
        """Those that the next `limit` jobs behind this seq may need again, and the seq of the last; None once there are
        no more. A job that is done for good needs none."""

    async def environment(self, hash: str) -> Kept: ...

    async def history(self, job: str) -> list[Entry]: ...

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """Journal entries with seq > after, oldest first."""

    async def last_seq(self) -> int:
        """The seq of the newest journal entry, 0 when there is none."""

    async def sql(self, query: str, limit: int, timeout: float) -> Rows:
        """A user's read-only query over the views. Raises BadQuery."""

    async def aclose(self) -> None: ...

    async def list(self, where: JobFilter) -> list[Job]:
        """Newest first by seq, at most `limit`."""
