"""What one change may read and write inside its transaction: the port between the steps and the tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw

from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.line import Line
from jobkeepd.core.model import FailedItem, Job, Moment, Peer, Run, SavedCheckpoint
from jobkeepd.core.patience import Deadline
from jobkeepd.core.queueing import Control
from jobkeepd.store.changes import Submitted
from jobkeepd.store.removal_changes import Leftover

ItemId = tuple[str, str]  # batch, key


class Ledger(Protocol):
    """Steps read first, decide, and write last, so that a refused change has nothing to undo."""

    def job(self, id: str) -> Job:
        """The job as this transaction sees it. Raises UnknownJob."""

    def find(self, ref: str) -> Job:
        """By id or unique prefix. Raises UnknownJob, AmbiguousJob."""

    def is_there(self, id: str) -> bool: ...

    def live_with(self, labels: Mapping[str, str], limit: int) -> list[str]:
        """The live jobs that have all of the labels, oldest first; if there are more than `limit`, any of them."""

    def put_parents(self, child: Job, parents: Sequence[str], open: Collection[str]) -> None:
        """Whom it waits for; `open` are those that have not ended."""

    def parents(self, child: Job) -> list[str]:
        """All of them, whatever has become of them."""

    def has_open_parents(self, child: Job) -> bool: ...

    def children(self, parent: str, limit: int) -> list[Job]:
        """The first of those that wait for its end."""

    def settle_children(self, parent: str, children: Sequence[Job]) -> None:
        """These do not wait for it any more."""

    @property
    def most_settled(self) -> int:
        """How many may be told of the ends of others in one commit: the rest waits for the next ones."""

    def put_unsettled(self, parent: str, at: float | None) -> None:
        """It ended then, and somebody may be left to be told of it; None: nobody."""

    def unsettled(self, parent: str | None = None) -> tuple[str, float] | None:
        """That one, if it is unsettled, or any."""

    def waiting(self, owner: int) -> int:
        """How many jobs of that user have not been started, or are to be started again."""

    def holder(self, key: str, slot: int = 0) -> Job | None:
        """The live job that has the key, or in slot 1 the one that waits for it."""

    def lock(self, name: str) -> Lock | None:
        """None for one that was never held."""

    def put_lock(self, lock: Lock) -> None: ...

    def control(self, queue: str) -> Control | None:
        """What was said about the queue, if anything."""

    def put_control(self, control: Control) -> None: ...

    def schedule(self, name: str) -> Schedule | None: ...

    def put_schedule(self, schedule: Schedule) -> None: ...

    def remove_schedule(self, name: str) -> None: ...

    def aspirant(self, lock: str) -> Job | None:
        """The first live job, by seq, that names the lock."""

    def first_blocked(self, lock: str) -> list[Job]:
        """Of the jobs that wait for the lock, the first of each queue, in the order of their turns."""

    def first_limited(self, label: str) -> list[Job]:
        """As `first_blocked`, of those that wait for the limit of a label's value."""

    def awaited(self) -> list[str]:
        """The values of labels whose limits somebody may wait for."""

    def running(self, label: str) -> int:
        """How many runs with that value of a label are open."""

    def latest(self, at: float) -> float:
        """`at`, or the latest time so far: lines do not go back when the clock does."""

    def served(self, queue: str) -> float | None:
        """The date in line of whose turn it is: who has started last, else who is first. None when nobody waits,
        neither for a place nor for the limit of a label."""

    def has_waiting(self, queue: str, line_at: float) -> None:
        """Somebody with that date waits now, and may not be in the tables yet."""

    def serve(self, job: Job) -> None:
        """It is the job's turn."""

    def line(self, queue: str) -> Line | None: ...

    def put_line(self, queue: str, line: Line) -> None: ...

    def flow(self, queue: str, value: str) -> float | None:
        """The date that the next job of a value that takes turns gets, at least."""

    def put_flow(self, queue: str, value: str, following: float, clock: float) -> None:
        """Those that are not after `clock` say nothing any more."""

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        """Digest and answer of an earlier request."""

    def due(self, at: float, limit: int) -> list[Job]:
        """Scheduled jobs due at or before `at`, by (due_at, seq)."""

    def remove(self, jobs: Sequence[Job]) -> None:
        """With all that hangs on them; of the journal, what is of a part that is forgotten. Nobody lives who waits for
        one of them.
        """

    def forget_events(self, through: int) -> None:
        """Of the journal up to there, all but what it tells of jobs that are there."""

    def asked(self, behind: tuple[int, str], limit: int) -> Sequence[tuple[int, str, float]]:
        """Request ids by uid and id, and when they were answered."""

    def forget_requests(self, requests: Sequence[tuple[int, str]]) -> None: ...

    def erase(self, limit: int) -> bool:
        """Up to `limit` rows of a job that was removed and had too many; False where there is none."""

    def forget_environments(self, is_used: Callable[[str], bool], behind: int, after: str, limit: int) -> str | None:
        """Of the next `limit` hashes after `after` those go that no job uses, neither one up to `behind`, by `is_used`,
        nor a later one, nor a schedule. -> the last that was looked at, None once there are no more."""

    def put_leftovers(self, leftovers: Sequence[Leftover]) -> None: ...

    def forget_leftovers(self, jobs: Sequence[str]) -> None: ...

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

    def deadline(self, job: Job) -> Deadline | None:
        """Until when it waits for its start."""

    def put_deadline(self, job: Job, deadline: Deadline | None) -> None: ...

    def redate_deadlines(self, now: Moment, at: float, limit: int) -> int:
        """Those of another boot, at most `limit`; how many they were."""

    def save_checkpoint(self, job: Job, checkpoint: SavedCheckpoint) -> None: ...

    def record_items(self, job: Job, failed: Mapping[ItemId, FailedItem], resolved: Sequence[ItemId], at: float) -> int:
        """Put `failed` on record, take `resolved` off it; by how many the record grew."""

    def forget_progress(self, job: Job) -> None:
        """Remove checkpoint, failed items and steps."""

    def count_steps(self, job: Job) -> int: ...

    def save_step(self, job: Job, ordinal: int, name: str, result: Raw, at: float) -> None: ...

    def save_result(self, job: Job, result: Raw | None) -> None: ...

    def flush(self) -> None:
        """Have everything so far in the tables: a row may be about to come that takes another's place."""

    def log(
        self, kind: str, at: float, job: Job | None = None, run: int | None = None,
        by: Peer | None = None, data: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Append a journal entry."""
