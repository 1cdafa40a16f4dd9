"""The store in memory: what any other store is held to. For tests, under any event loop and any clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import anyio.lowlevel
from msgspec import Raw, json

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.errors import (
    AmbiguousJob,
    BadQuery,
    Corrupt,
    StaleToken,
    StorageFailed,
    StoreError,
    UnknownJob,
)
from jobkeepd.store.base import JobFilter, Rows
from jobkeepd.store.changes import Change, MarkRunning, SaveProgress
from jobkeepd.store.memory_ledger import MemoryLedger
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.store.steps import perform


class MemoryStore:
    """Implements base.Store, without SQL."""

    def __init__(
        self,
        on_entries: Callable[[list[Entry]], None] = lambda entries: None,
        on_failure: Callable[[Exception], None] = lambda error: None,
        *,
        epoch: int = 1,
        ledger: MemoryLedger | None = None,
    ) -> None:
        self._on_entries = on_entries
        self._on_failure = on_failure
        self._epoch = epoch
        self._ledger = ledger or MemoryLedger()
        self._unpublished: deque[list[Entry]] = deque()
        self._publishing = False
        self._refusal: StoreError | None = None

    def reopen(
        self, on_entries: Callable[[list[Entry]], None], on_failure: Callable[[Exception], None]
    ) -> MemoryStore:
        """The same data for the next daemon."""
        return MemoryStore(on_entries, on_failure, epoch=self._epoch + 1, ledger=self._ledger)

    def fail(self, error: StorageFailed) -> None:
        """As if the disk had: from now on every change is refused."""
        self._refusal = error
        self._on_failure(error)

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def database_epoch(self) -> str:
        return "memory"

    async def apply(self, change: Change) -> Any:
        if self._refusal is not None:
            raise self._refusal
        result = self._commit(change)
        await anyio.lowlevel.checkpoint()  # as with a disk, a waiter may be cancelled and the change stays
        return result

    def post(self, change: Change, told: Callable[[Any], None]) -> None:
        if self._refusal is not None:
            told(self._refusal)
            return
        try:
            outcome = self._commit(change)
        except Exception as error:  # noqa: BLE001 - it is the answer
            outcome = error
        told(outcome)

    def send(self, change: Change) -> None:
        if self._refusal is not None:
            return
        try:
            self._commit(change)
        except StaleToken as error:
            if not isinstance(change, SaveProgress | MarkRunning):
                self._on_failure(error)
        except Exception as error:  # noqa: BLE001 - nobody waits: on_failure is where it goes
            self._on_failure(error)

    def _commit(self, change: Change) -> Any:
        before = len(self._ledger.journal)
        result = perform(change, self._ledger)
        if len(self._ledger.journal) > before:
            self._unpublished.append(self._ledger.journal[before:])
        self._publish()
        return result

    def _publish(self) -> None:
        """In order, also when a listener commits something itself."""
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._unpublished:
                self._on_entries(self._unpublished.popleft())
        finally:
            self._publishing = False

    def cached(self, id: str) -> Job | None:
        return self._ledger.jobs.get(id)

    async def get_all(self, refs: Sequence[str]) -> Sequence[Job]:
        return [await self.get(ref) for ref in refs]

    async def get(self, ref: str) -> Job:
        await anyio.lowlevel.checkpoint()
        if ref in self._ledger.jobs:
            return self._ledger.jobs[ref]
        matches = sorted(id for id in self._ledger.jobs if id.startswith(ref))
        if not matches:
            raise UnknownJob(ref)
        if len(matches) > 1:
            raise AmbiguousJob(ref, tuple(matches[:10]))
        return self._ledger.jobs[matches[0]]

    async def runs(self, job: str) -> list[Run]:
        await anyio.lowlevel.checkpoint()
        latest = self._ledger.job(job).run
        return [*self._ledger.earlier_runs.get(job, ()), *([] if latest is None else [latest])]

    async def queued(self, queue: str, limit: int, exclude: Sequence[str] = ()) -> list[Job]:
        await anyio.lowlevel.checkpoint()
        found = [
            job
            for job in self._ledger.jobs.values()
            if job.state == "queued"
            and job.spec.queue == queue
            and not has_open_run(job)
            and job.id not in exclude
        ]
        return sorted(found, key=lambda job: (-job.spec.priority, job.seq))[:limit]

    async def open_runs(self) -> list[Job]:
        await anyio.lowlevel.checkpoint()
        return [job for job in self._ledger.jobs.values() if has_open_run(job)]

    async def next_due(self) -> float | None:
        await anyio.lowlevel.checkpoint()
        due = (job.due_at for job in self._ledger.jobs.values() if job.state == "scheduled")
        return min((at for at in due if at is not None), default=None)

    async def counts(self) -> dict[tuple[str, JobState], int]:
        await anyio.lowlevel.checkpoint()
        return dict(Counter((job.spec.queue, job.state) for job in self._ledger.jobs.values()))

    async def checkpoint(self, job: str) -> SavedCheckpoint:
        await anyio.lowlevel.checkpoint()
        return self._ledger.checkpoints.get(self._ledger.job(job).id, SavedCheckpoint())

    async def failed_items(self, job: str, after: int, limit: int) -> list[FailedItem]:
        await anyio.lowlevel.checkpoint()
        items = self._ledger.items.get(self._ledger.job(job).id, {}).values()
        return sorted(items, key=lambda item: (item.batch, item.ordinal, item.key))[after : after + limit]

    async def result(self, job: str) -> Raw | None:
        await anyio.lowlevel.checkpoint()
        return self._ledger.results.get(self._ledger.job(job).id)

    async def environment(self, hash: str) -> dict[str, str]:
        await anyio.lowlevel.checkpoint()
        if hash not in self._ledger.environments:
            raise Corrupt(f"environment {hash} is missing")
        return json.decode(self._ledger.environments[hash], type=dict[str, str])

    async def history(self, job: str) -> list[Entry]:
        await anyio.lowlevel.checkpoint()
        id = self._ledger.job(job).id
        return [entry for entry in self._ledger.journal if entry.job == id]

    async def entries(self, after: int, limit: int) -> list[Entry]:
        await anyio.lowlevel.checkpoint()
        return self._ledger.journal[after : after + limit]

    async def last_seq(self) -> int:
        await anyio.lowlevel.checkpoint()
        return len(self._ledger.journal)

    async def sql(self, query: str, limit: int, timeout: float) -> Rows:
        raise BadQuery("the store in memory knows no SQL")

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self._refusal = self._refusal or StoreError("the store is closed")

    async def list(self, where: JobFilter) -> list[Job]:
        await anyio.lowlevel.checkpoint()
        found = [job for job in self._ledger.jobs.values() if _matches(job, where)]
        return sorted(found, key=lambda job: -job.seq)[: where.limit]


def _matches(job: Job, where: JobFilter) -> bool:
    labels = job.spec.labels
    return (
        (where.states is None or job.state in where.states)
        and (where.queue is None or job.spec.queue == where.queue)
        and all(labels.get(key) == value for key, value in where.labels)
        and (
            where.since is None
            or job.created_at >= where.since
            or (job.ended_at is not None and job.ended_at >= where.since)
        )
        and (where.before is None or job.seq < where.before)
    )
