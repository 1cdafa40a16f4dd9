"""The ledger in memory: the tables as dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw

from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeepd.core.model import Entry, FailedItem, Job, Peer, Run, SavedCheckpoint
from jobkeepd.errors import StaleToken, UnknownJob
from jobkeepd.store.changes import Submitted
from jobkeepd.store.ledger import ItemId


class MemoryLedger:
    """A refused change has written nothing, so there is nothing to roll back."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.earlier_runs: dict[str, list[Run]] = {}
        self.checkpoints: dict[str, SavedCheckpoint] = {}
        self.items: dict[str, dict[ItemId, FailedItem]] = {}
        self.results: dict[str, Raw] = {}
        self.environments: dict[str, bytes] = {}
        self.requests: dict[tuple[int, str], tuple[str, Submitted]] = {}
        self.journal: list[Entry] = []

    def job(self, id: str) -> Job:
        if id not in self.jobs:
            raise UnknownJob(id)
        return self.jobs[id]

    def holder(self, key: str) -> Job | None:
        live = (job for job in self.jobs.values() if job.spec.key == key and job.state in LIVE_STATES)
        return next(live, None)

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        return self.requests.get((uid, request))

    def due(self, at: float, limit: int) -> list[Job]:
        found = [
            (job.due_at, job.seq, job)
            for job in self.jobs.values()
            if job.state == "scheduled" and job.due_at is not None and job.due_at <= at
        ]
        return [job for *_, job in sorted(found)][:limit]

    def take_seqs(self, count: int) -> int:
        return len(self.jobs) + 1

    def add(self, jobs: Sequence[Job], environments: Sequence[tuple[str, bytes]]) -> None:
        for hash, data in environments:
            self.environments.setdefault(hash, data)
        self.jobs.update((job.id, job) for job in jobs)

    def remember(self, uid: int, request: str, digest: str, answer: Submitted, at: float) -> None:
        self.requests[uid, request] = (digest, answer)

    def put(self, before: Job, after: Job, seen_at: float | None = None) -> None:
        if self.jobs[before.id] is not before:
            raise StaleToken(before.id)
        self.jobs[after.id] = after

    def shelve(self, job: Job, run: Run) -> None:
        self.earlier_runs.setdefault(job.id, []).append(run)

    def unshelve(self, job: Job) -> Run | None:
        earlier = self.earlier_runs.get(job.id)
        return earlier.pop() if earlier else None

    def save_checkpoint(self, job: Job, checkpoint: SavedCheckpoint) -> None:
        self.checkpoints[job.id] = checkpoint

    def record_items(
        self, job: Job, failed: Mapping[ItemId, FailedItem], resolved: Sequence[ItemId], at: float
    ) -> int:
        kept = self.items.setdefault(job.id, {})
        count = len(kept)
        kept.update(failed)
        for item in resolved:
            kept.pop(item, None)
        return len(kept) - count

    def forget_progress(self, job: Job) -> None:
        self.checkpoints.pop(job.id, None)
        self.items.pop(job.id, None)

    def save_result(self, job: Job, result: Raw | None) -> None:
        if result is None:
            self.results.pop(job.id, None)
        else:
            self.results[job.id] = result

    def log(
        self, kind: str, at: float, job: Job | None = None, run: int | None = None,
        by: Peer | None = None, data: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.journal.append(
            Entry(
                seq=len(self.journal) + 1,
                at=at,
                kind=kind,
                job=None if job is None else job.id,
                run=run,
                by=by,
                data=data or {},
            )
        )
