"""The ledger in memory: the tables as dicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from msgspec import Raw

from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeepd.core.firing import Schedule
from jobkeepd.core.label_limits import tags
from jobkeepd.core.lease import Lock
from jobkeepd.core.lifecycle import WAITING
from jobkeepd.core.line import Line
from jobkeepd.core.model import FailedItem, Job, Moment, Peer, Run, SavedCheckpoint
from jobkeepd.core.patience import Deadline, redated
from jobkeepd.core.queueing import Control
from jobkeepd.errors import AmbiguousJob, StaleToken, UnknownJob
from jobkeepd.store.changes import Submitted
from jobkeepd.store.ledger import ItemId
from jobkeepd.store.memory_journal import MemoryJournal
from jobkeepd.store.memory_leavings import MemoryLeavings
from jobkeepd.store.memory_requests import MemoryRequests
from jobkeepd.store.run_steps import has_open_run


def _in_order(waiting: list[Job]) -> list[Job]:
    return sorted(waiting, key=lambda job: (job.spec.queue, job.turn_at, job.seq))


def _first_of_each_queue(waiting: list[Job]) -> list[Job]:
    return [next(jobs) for _, jobs in groupby(_in_order(waiting), key=lambda job: job.spec.queue)]


class MemoryLedger(MemoryLeavings):
    """A refused change has written nothing, so there is nothing to roll back."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.earlier_runs: dict[str, list[Run]] = {}
        self.checkpoints: dict[str, SavedCheckpoint] = {}
        self.items: dict[str, dict[ItemId, FailedItem]] = {}
        self.results: dict[str, Raw] = {}
        self.steps: dict[str, list[tuple[str, Raw]]] = {}
        self.locks: dict[str, Lock] = {}
        self.dependencies: dict[str, dict[str, bool]] = {}  # child -> parent -> whether it has not ended
        self.lines: dict[str, Line] = {}
        self.last_served: dict[str, float] = {}
        self.flows: dict[tuple[str, str], float] = {}
        self.controls: dict[str, Control] = {}
        self.schedules: dict[str, Schedule] = {}
        self.next_seq = 1
        self.newest: dict[str, float] = {}  # the latest created_at so far, when each job was added
        self.newest_at = 0.0
        self.deadlines: dict[str, Deadline] = {}
        self.requests = MemoryRequests()
        self.journal = MemoryJournal()

    def job(self, id: str) -> Job:
        if id not in self.jobs:
            raise UnknownJob(id)
        return self.jobs[id]

    def _live(self) -> Iterator[Job]:
        return (job for job in self.jobs.values() if job.state in LIVE_STATES)

    def find(self, ref: str) -> Job:
        matches = [ref] if ref in self.jobs else sorted(id for id in self.jobs if id.startswith(ref))
        if not matches:
            raise UnknownJob(ref)
        if len(matches) > 1:
            raise AmbiguousJob(ref, tuple(matches[:10]))
        return self.jobs[matches[0]]

    def is_there(self, id: str) -> bool:
        return id in self.jobs

    def live_with(self, labels: Mapping[str, str], limit: int) -> list[str]:
        found = [job for job in self._live() if labels.items() <= job.spec.labels.items()]
        return [job.id for job in sorted(found, key=lambda job: job.seq)][:limit]

    def put_parents(self, child: Job, parents: Sequence[str], open: Collection[str]) -> None:
        self.dependencies[child.id] = {parent: parent in open for parent in parents}

    def parents(self, child: Job) -> list[str]:
        return sorted(self.dependencies.get(child.id, ()))

    def has_open_parents(self, child: Job) -> bool:
        return any(self.dependencies.get(child.id, {}).values())

    most_settled = 1 << 60  # nobody is kept waiting by it

    def put_unsettled(self, parent: str, at: float | None) -> None: ...

    def unsettled(self, parent: str | None = None) -> None: ...

    def children(self, parent: str, limit: int) -> list[Job]:
        found = [self.jobs[child] for child, parents in self.dependencies.items() if parents.get(parent)]
        return sorted(found, key=lambda job: job.seq)

    def settle_children(self, parent: str, children: Sequence[Job]) -> None:
        for child in children:
            self.dependencies[child.id][parent] = False

    def waiting(self, owner: int) -> int:
        return sum(job.owner == owner and job.state in WAITING for job in self.jobs.values())

    def holder(self, key: str, slot: int = 0) -> Job | None:
        return next((job for job in self._live() if job.spec.key == key and job.key_slot == slot), None)

    def aspirant(self, lock: str) -> Job | None:
        return min((job for job in self._live() if job.spec.lock == lock), key=lambda job: job.seq, default=None)

    def first_blocked(self, lock: str) -> list[Job]:
        waiting = [job for job in self._live() if job.blocked == "lock" and job.spec.lock == lock]
        return _first_of_each_queue(waiting)

    def first_limited(self, label: str) -> list[Job]:
        return _first_of_each_queue([job for job in self._live() if job.blocked == "limit" and job.waits_on == label])

    def awaited(self) -> list[str]:
        found = {job.waits_on for job in self._live() if job.blocked == "limit"}
        return sorted(label for label in found if label is not None)

    def running(self, label: str) -> int:
        return sum(label in tags(job.spec.labels) for job in self._live() if has_open_run(job))

    def latest(self, at: float) -> float:
        return max(at, self.newest_at)

    def serve(self, job: Job) -> None:
        queue = job.spec.queue
        self.last_served[queue] = max(job.line_at, self.last_served.get(queue, job.line_at))

    def served(self, queue: str) -> float | None:
        waiting = [job for job in self._live() if job.spec.queue == queue and job.state == "queued"]
        lanes = [[job for job in waiting if job.blocked == why and not has_open_run(job)] for why in (None, "limit")]
        head = min((_in_order(lane)[0].line_at for lane in lanes if lane), default=None)
        return None if head is None else self.last_served.get(queue, head)

    def has_waiting(self, queue: str, line_at: float) -> None:
        """Everything is in place at once."""

    def line(self, queue: str) -> Line | None:
        return self.lines.get(queue)

    def put_line(self, queue: str, line: Line) -> None:
        self.lines[queue] = line

    def flow(self, queue: str, value: str) -> float | None:
        return self.flows.get((queue, value))

    def put_flow(self, queue: str, value: str, following: float, clock: float) -> None:
        self.flows[queue, value] = following

    def lock(self, name: str) -> Lock | None:
        return self.locks.get(name)

    def put_lock(self, lock: Lock) -> None:
        self.locks[lock.name] = lock

    def control(self, queue: str) -> Control | None:
        return self.controls.get(queue)

    def put_control(self, control: Control) -> None:
        self.controls[control.name] = control

    def schedule(self, name: str) -> Schedule | None:
        return self.schedules.get(name)

    def put_schedule(self, schedule: Schedule) -> None:
        self.schedules[schedule.name] = schedule

    def remove_schedule(self, name: str) -> None:
        self.schedules.pop(name, None)

    def flush(self) -> None:
        """Everything is in place at once."""

    def answered(self, uid: int, request: str) -> tuple[str, Submitted] | None:
        return self.requests.answered((uid, request))

    def due(self, at: float, limit: int) -> list[Job]:
        found = [
            (job.due_at, job.seq, job)
            for job in self.jobs.values()
            if job.state == "scheduled" and job.due_at is not None and job.due_at <= at
        ]
        return [job for *_, job in sorted(found)][:limit]

    def take_seqs(self, count: int) -> int:
        first = self.next_seq
        self.next_seq += count
        return first

    def reopened(self) -> None:
        """What goes by the last job that is there."""
        last = max(self.jobs.values(), key=lambda job: job.seq, default=None)
        self.next_seq, self.newest_at = (1, 0.0) if last is None else (last.seq + 1, self.newest[last.id])

    def add(self, jobs: Sequence[Job], environments: Sequence[tuple[str, bytes]]) -> None:
        for hash, data in environments:
            self.environments.setdefault(hash, data)
        for job in jobs:
            self.jobs[job.id] = job
            self.newest_at = self.newest[job.id] = max(self.newest_at, job.created_at)

    def remove(self, jobs: Sequence[Job]) -> None:
        tables: tuple[dict[str, Any], ...] = (
            self.jobs, self.newest, self.earlier_runs, self.checkpoints, self.items, self.results, self.steps,
            self.dependencies, self.deadlines,
        )  # fmt: skip
        for table in tables:
            for job in jobs:
                table.pop(job.id, None)

        self.journal.forget_jobs({job.id for job in jobs})

    def forget_events(self, through: int) -> None:
        self.journal.forget(through, self.jobs.keys())

    def remember(self, uid: int, request: str, digest: str, answer: Submitted, at: float) -> None:
        self.requests.remember((uid, request), digest, answer, at)

    def asked(self, behind: tuple[int, str], limit: int) -> Sequence[tuple[int, str, float]]:
        return self.requests.asked(behind, limit)

    def forget_requests(self, requests: Sequence[tuple[int, str]]) -> None:
        self.requests.forget(requests)

    def put(self, before: Job, after: Job, seen_at: float | None = None) -> None:
        if self.jobs[before.id] is not before:
            raise StaleToken(before.id)
        self.jobs[after.id] = after

    def shelve(self, job: Job, run: Run) -> None:
        self.earlier_runs.setdefault(job.id, []).append(run)

    def unshelve(self, job: Job) -> Run | None:
        earlier = self.earlier_runs.get(job.id)
        return earlier.pop() if earlier else None

    def deadline(self, job: Job) -> Deadline | None:
        return self.deadlines.get(job.id)

    def put_deadline(self, job: Job, deadline: Deadline | None) -> None:
        if deadline is None:
            self.deadlines.pop(job.id, None)
        else:
            self.deadlines[job.id] = deadline

    def redate_deadlines(self, now: Moment, at: float, limit: int) -> int:
        old = [id for id, deadline in self.deadlines.items() if deadline.until.boot_id != now.boot_id][:limit]
        self.deadlines |= {id: redated(self.deadlines[id], now, at) for id in old}
        return len(old)

    def save_checkpoint(self, job: Job, checkpoint: SavedCheckpoint) -> None:
        self.checkpoints[job.id] = checkpoint

    def record_items(self, job: Job, failed: Mapping[ItemId, FailedItem], resolved: Sequence[ItemId], at: float) -> int:
        kept = self.items.setdefault(job.id, {})
        count = len(kept)
        kept.update(failed)
        for item in resolved:
            kept.pop(item, None)
        return len(kept) - count

    def forget_progress(self, job: Job) -> None:
        self.checkpoints.pop(job.id, None)
        self.items.pop(job.id, None)
        self.steps.pop(job.id, None)

    def count_steps(self, job: Job) -> int:
        return len(self.steps.get(job.id, ()))

    def save_step(self, job: Job, ordinal: int, name: str, result: Raw, at: float) -> None:
        self.steps.setdefault(job.id, []).append((name, result))

    def save_result(self, job: Job, result: Raw | None) -> None:
        if result is None:
            self.results.pop(job.id, None)
        else:
            self.results[job.id] = result

    def log(
        self, kind: str, at: float, job: Job | None = None, run: int | None = None,
        by: Peer | None = None, data: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.journal.add(kind, at, None if job is None else job.id, run, by, data or {})
