"""The store in memory: what any other store is held to. For tests, under any event loop and any clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import anyio.lowlevel
from msgspec import Raw

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core import secrets
from jobkeepd.core.explain import MOST_COUNTED
from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.lifecycle import is_done_for_good
from jobkeepd.core.metrics import COMMIT_BOUNDS, Histogram
from jobkeepd.core.model import Entry, FailedItem, Job, Run, SavedCheckpoint
from jobkeepd.core.queueing import Control
from jobkeepd.core.retention import Ended
from jobkeepd.core.secrets import Kept
from jobkeepd.core.weight import HEAVIEST, up_to
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
from jobkeepd.store.removal_changes import Leftover
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
        self._commit_seconds = Histogram(COMMIT_BOUNDS)
        self.is_full = False

    def reopen(self, on_entries: Callable[[list[Entry]], None], on_failure: Callable[[Exception], None]) -> MemoryStore:
        """The same data for the next daemon."""
        self._ledger.reopened()
        return MemoryStore(on_entries, on_failure, epoch=self._epoch + 1, ledger=self._ledger)

    def fail(self, error: StorageFailed) -> None:
        """As if the disk had: from now on every change is refused."""
        self._refusal = error
        self._on_failure(error)

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def commit_seconds(self) -> Histogram:
        return self._commit_seconds

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
        before = self._ledger.journal.last_seq
        result = perform(change, self._ledger)
        if self._ledger.journal.last_seq > before:
            self._unpublished.append(self._ledger.journal.after(before))
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

    async def queued(self, queue: str, limit: int, exclude: Sequence[str] = (), heaviest: int = HEAVIEST) -> list[Job]:
        await anyio.lowlevel.checkpoint()
        found = [
            job
            for job in self._ledger.jobs.values()
            if job.state == "queued"
            and job.spec.queue == queue
            and not has_open_run(job)
            and job.blocked is None and job.id not in exclude
        ]  # fmt: skip
        return up_to(heaviest, sorted(found, key=lambda job: (job.turn_at, job.seq))[:limit])

    async def open_runs(self) -> list[Job]:
        await anyio.lowlevel.checkpoint()
        return [job for job in self._ledger.jobs.values() if has_open_run(job)]

    async def open_seats(self) -> dict[str, str]:
        return {job.ref.id: job.run.seat for job in await self.open_runs() if job.run}

    async def next_due(self) -> float | None:
        await anyio.lowlevel.checkpoint()
        due = (job.due_at for job in self._ledger.jobs.values() if job.state == "scheduled")
        return min((at for at in due if at is not None), default=None)

    async def overdue(self, now: float, limit: int) -> list[str]:
        await anyio.lowlevel.checkpoint()
        found = sorted((line.until.monotonic, id) for id, line in self._ledger.deadlines.items())
        return [id for until, id in found if until <= now][:limit]

    async def next_overdue(self) -> float | None:
        await anyio.lowlevel.checkpoint()
        return min((deadline.until.monotonic for deadline in self._ledger.deadlines.values()), default=None)

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

    async def steps(self, job: str) -> list[str]:
        await anyio.lowlevel.checkpoint()
        return [name for name, _ in self._ledger.steps.get(self._ledger.job(job).id, ())]

    async def step_result(self, job: str, ordinal: int) -> Raw | None:
        await anyio.lowlevel.checkpoint()
        steps = self._ledger.steps.get(self._ledger.job(job).id, [])
        return steps[ordinal][1] if ordinal < len(steps) else None

    async def locks(self) -> list[Lock]:
        await anyio.lowlevel.checkpoint()
        return sorted((lock for lock in self._ledger.locks.values() if lock.holder), key=lambda lock: lock.name)

    async def ahead(self, job: Job) -> int:
        before = (job.turn_at, job.seq)
        waiting = await self.queued(job.spec.queue, len(self._ledger.jobs))
        return min(sum((other.turn_at, other.seq) < before for other in waiting), MOST_COUNTED)

    async def holder(self, key: str) -> Job | None:
        await anyio.lowlevel.checkpoint()
        return self._ledger.holder(key)

    async def lock(self, name: str) -> Lock | None:
        await anyio.lowlevel.checkpoint()
        return self._ledger.locks.get(name)

    async def open_parents(self, job: str, limit: int) -> tuple[int, list[Job]]:
        await anyio.lowlevel.checkpoint()
        known = self._ledger.dependencies.get(self._ledger.job(job).id, {})
        ids = sorted(parent for parent, open in known.items() if open)
        return len(ids), [self._ledger.job(id) for id in ids[:limit]]

    async def waiting(self, lock: str) -> int:
        await anyio.lowlevel.checkpoint()
        waiting = sum(job.blocked == "lock" and job.spec.lock == lock for job in self._ledger.jobs.values())
        return min(waiting, MOST_COUNTED)

    async def controls(self) -> Sequence[Control]:
        await anyio.lowlevel.checkpoint()
        return sorted(self._ledger.controls.values(), key=lambda control: control.name)

    async def schedules(self) -> Sequence[Schedule]:
        await anyio.lowlevel.checkpoint()
        return sorted(self._ledger.schedules.values(), key=lambda schedule: schedule.name)

    async def ended(self, queue: str, since: float, until: float, limit: int) -> Sequence[Ended]:
        await anyio.lowlevel.checkpoint()
        dated = [
            (job.ended_at, job.seq, job.id, job.progress.failed_items)
            for job in self._ledger.jobs.values()
            if job.spec.queue == queue and job.ended_at is not None and since <= job.ended_at < until
        ]
        return [Ended(id, at, items) for at, _, id, items in sorted(dated)[:limit]]

    async def first_event(self) -> int:
        await anyio.lowlevel.checkpoint()
        return self._ledger.journal.forgotten + 1

    async def leftovers(self, limit: int) -> Sequence[Leftover]:
        await anyio.lowlevel.checkpoint()
        return [Leftover(job, runs) for job, runs in sorted(self._ledger.leftovers.items())[:limit]]

    async def environments_of(self, behind: int, limit: int) -> tuple[set[str], int | None]:
        await anyio.lowlevel.checkpoint()
        found = sorted((job for job in self._ledger.jobs.values() if job.seq > behind), key=lambda job: job.seq)[:limit]
        needed = {job.environment for job in found if not is_done_for_good(job.state, job.progress.failed_items)}
        return {hash for hash in needed if hash is not None}, found[-1].seq if found else None

    async def environment(self, hash: str) -> Kept:
        await anyio.lowlevel.checkpoint()
        if hash not in self._ledger.environments:
            raise Corrupt(f"environment {hash} is missing")
        return secrets.decoded(self._ledger.environments[hash])

    async def history(self, job: str) -> list[Entry]:
        await anyio.lowlevel.checkpoint()
        id = self._ledger.job(job).id
        return [entry for entry in self._ledger.journal if entry.job == id]

    async def entries(self, after: int, limit: int) -> list[Entry]:
        await anyio.lowlevel.checkpoint()
        return self._ledger.journal.after(after)[:limit]

    async def last_seq(self) -> int:
        await anyio.lowlevel.checkpoint()
        return self._ledger.journal.last_seq

    async def sql(self, query: str, limit: int, timeout: float) -> Rows:
        raise BadQuery("the store in memory knows no SQL")

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self._refusal = self._refusal or StoreError("the store is closed")

    async def list(self, where: JobFilter) -> list[Job]:
        await anyio.lowlevel.checkpoint()
        found = [job for job in self._ledger.jobs.values() if where.matches(job)]
        return sorted(found, key=lambda job: -job.seq)[: where.limit]
