"""Short ways to say what happens to a job."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from jobkeep.protocol.jobs import ErrorInfo, JobSpec
from jobkeep.protocol.worker import ItemKey
from jobkeepd.core.lease import ClientHolder
from jobkeepd.core.model import Entry, FailedItem, Identity, Job, Moment, Peer
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import (
    Change,
    ClaimRun,
    EndRun,
    MarkRunning,
    NewJob,
    RequestStop,
    SaveCheckpoint,
    SubmitJobs,
    Submitted,
)
from jobkeepd.store.lock_changes import AcquireLock

ALICE = Peer(1000, 1000, 4242)
BOOT = "boot-1"
BROKEN = ErrorInfo("ValueError", "no", None)


class Heard:
    """What a store has told its listeners."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.batches = 0
        self.failures: list[Exception] = []

    def on_entries(self, entries: list[Entry]) -> None:
        self.entries += entries
        self.batches += 1

    def on_failure(self, error: Exception) -> None:
        self.failures.append(error)

    def kinds(self, job: str) -> list[str]:
        return [entry.kind for entry in self.entries if entry.job == job]


def new(id: str, **spec: Any) -> NewJob:
    return NewJob(id, JobSpec(**{"command": ["/bin/true"], **spec}), None)


def submitting(*ids: str, at: float = 1.0, **spec: Any) -> SubmitJobs:
    return SubmitJobs(jobs=tuple(new(id, **spec) for id in ids), by=ALICE, at=at)


async def submit(store: Store, *ids: str, at: float = 1.0, **spec: Any) -> Submitted:
    return await store.apply(submitting(*ids, at=at, **spec))


def claiming(id: str, at: float = 2.0) -> ClaimRun:
    return ClaimRun(job=id, seat="slot-1", epoch=1, cookie="c0ffee", at=at)


async def claim(store: Store, id: str, at: float = 2.0) -> Job:
    job = await store.apply(claiming(id, at))
    assert job is not None
    return job


async def start(store: Store, id: str, at: float = 3.0) -> Job:
    """The job, running."""
    job = await claim(store, id)
    await store.apply(MarkRunning(run=job.ref, at=at))
    return await store.get(id)


def ending(job: Job, **facts: Any) -> EndRun:
    return EndRun(**{"run": job.ref, "outcome": "succeeded", "state": "succeeded", "at": 9.0, **facts})


def failing(job: Job, **facts: Any) -> EndRun:
    return ending(job, **{"outcome": "failed", "state": "failed", "error": BROKEN, "reason": "broke", **facts})


def item(key: str, ordinal: int = 0, batch: str = "0") -> FailedItem:
    return FailedItem(key, BROKEN, batch, ordinal)


def saving(job: Job, seq: int, *failed: FailedItem, resolved: tuple[str, ...] = ()) -> SaveCheckpoint:
    return SaveCheckpoint(
        run=job.ref,
        seq=seq,
        cursor=Raw(b"[%d]" % seq),
        state=Raw(b'{"sum":%d}' % seq),
        done=seq * 10,
        total=100,
        note="half way",
        tallies={"ok": seq * 10},
        failed=failed,
        resolved=tuple(ItemKey("0", key) for key in resolved),
        at=5.0 + seq,
    )


async def blocked(store: Store) -> list[str]:
    return sorted(job.id for job in await store.list(JobFilter()) if job.blocked)


async def cancel(store: Store, id: str) -> None:
    await store.apply(RequestStop(job=id, stop="cancelled", by=ALICE, at=8.0))


def at(seconds: float) -> Moment:
    return Moment(BOOT, seconds)


def acquiring(name: str = "l", lease: str = "c1", now: float = 100.0) -> AcquireLock:
    """For a client, at a moment of the same number."""
    holder = ClientHolder(lease, ALICE.uid, Identity(BOOT, ALICE.pid, 7))
    return AcquireLock(name=name, holder=holder, ttl_s=60.0, by=ALICE, at=now, now=at(now))


async def outcome_of(store: Store, change: Change) -> Any:
    """The result, or the type and words of what was raised."""
    try:
        return await store.apply(change)
    except Exception as error:  # noqa: BLE001 - whatever it is, others must say it too
        return type(error), str(error)
