"""What one change may read and write inside its transaction: the port between the steps and the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw

from jobkeepd.core.model import FailedItem, Job, Peer, Run, SavedCheckpoint
from jobkeepd.store.changes import Submitted

ItemId = tuple[str, str]  # batch, key


class Ledger(Protocol):
    """Steps read first, decide, and write last, so that a refused change has nothing to undo."""

    def job(self, id: str) -> Job:
        """The job as this transaction sees it. Raises UnknownJob."""

    def holder(self, key: str) -> Job | None:
        """The live job that has the key."""

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        """Digest and answer of an earlier request."""

    def due(self, at: float, limit: int) -> list[Job]:
        """Scheduled jobs due at or before `at`, by (due_at, seq)."""

    def take_seqs(self, count: int) -> int:
        """The first of `count` fresh job seqs."""

    def add(self, jobs: Sequence[Job], environments: Sequence[tuple[str, bytes]]) -> None: ...

    def remember(self, uid: int, request: str, digest: str, answer: Submitted, at: float) -> None: ...

    def put(self, before: Job, after: Job, seen_at: float | None = None) -> None:
        """Replace `before`, which must still be what is stored: otherwise StaleToken.

        `seen_at` dates a sign of life of the run.
        """

    def shelve(self, job: Job, run: Run) -> None:
        """Keep an earlier run, now that the job has a newer one."""

    def unshelve(self, job: Job) -> Run | None:
        """Take the newest kept run back."""

    def save_checkpoint(self, job: Job, checkpoint: SavedCheckpoint) -> None: ...

    def record_items(
        self, job: Job, failed: Mapping[ItemId, FailedItem], resolved: Sequence[ItemId], at: float
    ) -> int:
        """Put `failed` on record, take `resolved` off it; by how many the record grew."""

    def forget_progress(self, job: Job) -> None:
        """Remove checkpoint and failed items."""

    def save_result(self, job: Job, result: Raw | None) -> None: ...

    def log(
        self, kind: str, at: float, job: Job | None = None, run: int | None = None,
        by: Peer | None = None, data: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Append a journal entry."""
