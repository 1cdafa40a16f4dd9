"""The Store protocol: its docstrings are the contract, tests/contract/ holds every implementation to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload

from msgspec import Raw, Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.store.changes import (
    Change,
    ClaimRun,
    MakeDue,
    RequestStop,
    ResumeJob,
    SubmitJobs,
    Submitted,
)


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


class Rows(Struct, frozen=True):
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class Store(Protocol):
    """Current truth and its journal.

    Every method may raise StorageFailed (outcome unknown; the daemon must stop) and, for writes, StorageFull
    (nothing was written). Times are UTC seconds given by the caller: the store reads no clock.
    """

    @property
    def epoch(self) -> int:
        """Rises by one with each open of the store by a daemon."""

    @property
    def database_epoch(self) -> str:
        """Random, drawn when the database was made."""

    @overload
    async def apply(self, change: SubmitJobs) -> Submitted: ...
    @overload
    async def apply(self, change: ClaimRun) -> Job | None: ...
    @overload
    async def apply(self, change: RequestStop | ResumeJob) -> Job: ...
    @overload
    async def apply(self, change: MakeDue) -> tuple[str, ...]: ...
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

    async def queued(self, queue: str, limit: int, exclude: Sequence[str] = ()) -> list[Job]:
        """Queued jobs without an open run, by priority (highest first) then seq, leaving out `exclude`."""

    async def open_runs(self) -> list[Job]:
        """Jobs with a run that is starting or running: what recovery has to decide on."""

    async def next_due(self) -> float | None:
        """The earliest due_at of a scheduled job."""

    async def counts(self) -> dict[tuple[str, JobState], int]:
        """How many jobs are in each (queue, state)."""

    async def checkpoint(self, job: str) -> SavedCheckpoint: ...

    async def failed_items(self, job: str, after: int, limit: int) -> list[FailedItem]:
        """By (batch, ordinal, key), skipping the first `after`."""

    async def result(self, job: str) -> Raw | None: ...

    async def environment(self, hash: str) -> dict[str, str]: ...

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
