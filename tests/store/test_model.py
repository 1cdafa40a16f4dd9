"""SQLite against the reference in memory: any sequence of changes has the same results, alone or in batches."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from contract.deeds import ALICE, BROKEN, Heard, item, new, outcome_of
from jobkeep.protocol.vocabulary import ENDED_STATES, OnConflict
from jobkeep.protocol.worker import ItemKey
from jobkeepd.core.lease import ClientHolder
from jobkeepd.core.model import Identity, Job, Moment, RunRef
from jobkeepd.store.base import JobFilter
from jobkeepd.store.changes import (
    Change,
    ClaimRun,
    EndRun,
    FenceRun,
    MakeDue,
    MarkRunning,
    Note,
    RequestStop,
    ResumeJob,
    RevokeClaim,
    SaveCheckpoint,
    SaveProgress,
    SaveStep,
    SubmitJobs,
)
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.store.memory import MemoryStore
from jobkeepd.store.removal_changes import ForgetLeftovers, RemoveJobs
from jobkeepd.store.sqlite import SqliteStore
from jobkeepd.store.wait_changes import EndWait, RedateWaits
from store.forgotten import forgotten, stranded

_STATES: list[Any] = ["scheduled", "queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
_OUTCOMES: list[Any] = ["succeeded", "failed", "cancelled", "interrupted", "lost"]
_BOTH, _NEAR = st.booleans(), st.integers(-1, 1)
_LIMITS = st.sampled_from([{"team": 1}, {"team": 1}, {"team": 2, "env": 1}, {}])
_AFTER = st.sampled_from([{}, {}, {}, {"team": "x"}, {"team": "y", "env": "p"}])
# Ends and starts weigh more than the rest: without them nothing else gets anywhere.
_DEEDS = [
    "submit", "claim", "claim", "running", "running", "end", "end", "end", "fail", "stop", "resume", "resume",
    "revoke", "progress", "checkpoint", "checkpoint", "due", "note", "step", "fence", "expire", "expire", "redate",
    "acquire", "acquire", "renew", "release", "reset", "remove", "remove",
]  # fmt: skip


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        memory = Path("/dev/shm")
        self.directory = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.heard, self.model_heard = Heard(), Heard()
        self.model = MemoryStore(self.model_heard.on_entries, self.model_heard.on_failure)
        self.clock = 0.0
        self.made = 0

    @initialize(keep=st.sampled_from([0, 2, 1000]))
    def open(self, keep: int) -> None:
        """With little in memory, nearly every job is read back from its row."""
        self.keep = keep
        path = Path(self.directory.name) / "db"
        opened = SqliteStore.open(path, self.heard.on_entries, self.heard.on_failure, keep=keep, long_wal=False)
        self.store = self.runner.run(opened)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.aclose())
        self.runner.close()
        self.directory.cleanup()

    def _jobs(self) -> list[Job]:
        return list(self.model._ledger.jobs.values())

    def _ref(self, job: Job, data: st.DataObject) -> RunRef:
        """Mostly the open run, sometimes one that never was or is no more."""
        off = data.draw(st.sampled_from([0] * 8 + [-1, 1]))
        return RunRef(job.id, (job.run.number if job.run else 1), job.fence + off)

    def _draw(self, data: st.DataObject) -> Change:
        self.clock += data.draw(st.sampled_from([0.0, 0.25, 10.0, 10.0, -7.0]))  # clocks are set back, too
        deeds = _DEEDS if self.made <= 8 else _DEEDS[1:]  # with few jobs, each gets far
        kind = data.draw(st.sampled_from(deeds)) if self.made else "submit"
        if kind == "submit":
            return self._submit(data)
        job = data.draw(st.sampled_from(self._jobs())) if self._jobs() else None
        return self._wish(kind, job, data) if job is not None else self._submit(data)

    def _submit(self, data: st.DataObject) -> SubmitJobs:
        jobs = []
        for _ in range(data.draw(st.sampled_from([1, 1, 1, 3]))):
            self.made += 1
            labels = data.draw(st.sampled_from([{}, {"team": "x"}, {"team": "y", "env": "p"}]))
            queue = data.draw(st.sampled_from(["default", "night"]))
            key = data.draw(st.sampled_from([None, None, "k1", "k2"]))
            lock = data.draw(st.sampled_from([None, None, "l1", "l2"]))
            after = data.draw(st.sampled_from([[], [], ["j001"], [f"j{self.made - 1:03}"], ["j"]]))
            spec = {"queue": queue, "key": key, "lock": lock, "labels": labels, "after": after}
            spec |= {"priority": data.draw(_NEAR), "after_label": data.draw(_AFTER), "after_any_end": data.draw(_BOTH)}
            patience = data.draw(st.sampled_from([None, None, 5.0, 15.0]))
            delay = data.draw(st.sampled_from([None, None, 0.0, 15.0]))
            jobs.append(new(f"j{self.made:03}", **spec, queue_timeout_s=patience, delay_s=delay))
        return SubmitJobs(
            jobs=tuple(jobs),
            by=ALICE,
            at=self.clock,
            request=data.draw(st.sampled_from([None, None, "r1", "r2"])),
            digest=data.draw(st.sampled_from(["d", "d", "e"])),
            on_conflict=data.draw(st.sampled_from([None, *get_args(OnConflict)])),
            now=self._moment(),
            limits=data.draw(_LIMITS),
        )

    def _wish(self, kind: str, job: Job, data: st.DataObject) -> Change:
        at = self.clock
        if kind == "claim":
            limits, now = data.draw(_LIMITS), self._moment()
            return ClaimRun(job=job.id, seat="s", epoch=1, cookie="c", at=at, now=now, limits=limits)
        if kind == "stop":
            stop = data.draw(st.sampled_from(["cancelled", "restart", "restart_from_start"]))
            return RequestStop(job=job.id, stop=stop, by=ALICE, at=at, force=data.draw(_BOTH))
        if kind == "resume":
            return ResumeJob(job=job.id, by=ALICE, at=at, now=self._moment(), failed_items=data.draw(_BOTH))
        if kind == "due":
            return MakeDue(at=at, now=self._moment(), limit=data.draw(st.integers(1, 3)))
        if kind == "expire":
            return EndWait(job=job.id, at=at, now=self._moment())
        if kind == "remove":
            return self._removal(job, data)
        if kind == "redate":
            return RedateWaits(at=at, now=Moment(data.draw(st.sampled_from(["boot", "other"])), at + 3))
        if kind in ("acquire", "renew", "release", "reset"):
            return self._lock_deed(kind, data)
        if kind == "note":
            return Note(kind="odd", at=at, job=data.draw(st.sampled_from([None, job.id, "zz"])), data={"x": [1]})
        return self._fact(kind, self._ref(job, data), data)

    def _removal(self, job: Job, data: st.DataObject) -> Change:
        if (gone := list(self.model._ledger.leftovers)) and data.draw(_BOTH):
            return ForgetLeftovers(jobs=tuple(gone[:1]))
        ended = [job.id for job in self._jobs() if job.state in ENDED_STATES]
        some = data.draw(st.lists(st.sampled_from([job.id, "zz", *ended]), max_size=3))
        return RemoveJobs(jobs=tuple(some), by=ALICE, at=self.clock, reason=data.draw(st.sampled_from([None, "old"])))

    def _moment(self) -> Moment:
        return Moment("boot", max(self.clock, 0.0))

    def _lock_deed(self, kind: str, data: st.DataObject) -> Change:
        name = data.draw(st.sampled_from(["l1", "l2"]))
        lock = self.model._ledger.locks.get(name)
        token = (lock.token if lock else 0) + data.draw(st.sampled_from([0, 0, 0, -1, 1]))
        if kind == "acquire":
            holder = ClientHolder(data.draw(st.sampled_from(["c1", "c2"])), 1000, Identity("boot", ALICE.pid, 7))
            return AcquireLock(name=name, holder=holder, ttl_s=20.0, by=ALICE, at=self.clock, now=self._moment())
        if kind == "renew":
            pid = data.draw(st.sampled_from([None, ALICE.pid, 1]))
            return RenewLocks(leases=((name, token),), now=self._moment(), pid=pid, revive=data.draw(_BOTH))
        if kind == "release":
            over = data.draw(st.sampled_from([None, self._moment()]))
            return ReleaseLock(name=name, token=token, at=self.clock, by=ALICE, over=over)
        return ResetLock(name=name, token=token, by=ALICE, at=self.clock, reason="why")

    def _fact(self, kind: str, ref: RunRef, data: st.DataObject) -> Change:
        at = self.clock
        if kind == "running":
            return MarkRunning(run=ref, at=at)
        if kind == "revoke":
            return RevokeClaim(run=ref)
        if kind == "fence":
            return FenceRun(run=ref, at=at, reason="silent")
        if kind == "step":
            return SaveStep(run=ref, ordinal=data.draw(st.integers(0, 2)), name="s", result=Raw(b"1"), at=at)
        if kind == "progress":
            tallies = data.draw(st.sampled_from([None, {}, {"ok": 3}]))
            return SaveProgress(run=ref, done=3, total=None, note="n", tallies=tallies, at=at)
        if kind == "checkpoint":
            keys = st.lists(st.sampled_from("abcd"), max_size=3)
            return SaveCheckpoint(
                run=ref, seq=data.draw(st.integers(1, 6)), cursor=Raw(b"[1]"), state=Raw(b"{}"),
                done=data.draw(st.integers(0, 9)), total=9, note=None, tallies={"ok": 1}, at=at,
                failed=tuple(item(key, data.draw(st.integers(0, 3))) for key in data.draw(keys)),
                resolved=tuple(ItemKey("0", key) for key in data.draw(keys)),
            )  # fmt: skip
        fails = kind == "fail"
        return EndRun(
            run=ref,
            outcome="failed" if fails else data.draw(st.sampled_from(_OUTCOMES)),
            state=data.draw(st.sampled_from(["failed", "scheduled", "cancelled"] if fails else _STATES)),
            at=at,
            status=256 if fails else None,
            error=BROKEN if fails else None,
            result=None if fails else Raw(b"1"),
            charge=fails,
            due_at=at + 5,
            from_start=data.draw(st.sampled_from([False, False, False, True])),
            data={"why": "x"},
        )

    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        self._compare([self._draw(data)])

    @precondition(lambda self: self.made)
    @rule(data=st.data(), count=st.integers(2, 6))
    def changes_at_once(self, data: st.DataObject, count: int) -> None:
        """One transaction for SQLite, one after the other for the model."""
        self._compare([self._draw(data) for _ in range(count)])

    @precondition(lambda self: any(job.state == "queued" for job in self._jobs()))
    @rule(data=st.data(), seqs=st.integers(0, 2))
    def work(self, data: st.DataObject, seqs: int) -> None:
        """Bring a job as far as its checkpoints, in one transaction."""
        job = data.draw(st.sampled_from([job for job in self._jobs() if job.state == "queued"]))
        number = 1 if job.run is None else job.run.number + 1
        ref = RunRef(job.id, number, job.fence + 1)
        steps = [self._wish("claim", job, data), MarkRunning(run=ref, at=self.clock)]
        steps += [self._fact("checkpoint", ref, data) for _ in range(seqs)]
        self._compare(steps)

    def _compare(self, changes: list[Change]) -> None:
        async def run() -> tuple[list[Any], list[Any]]:
            expected = [await outcome_of(self.model, change) for change in changes]
            return expected, list(await asyncio.gather(*(outcome_of(self.store, change) for change in changes)))

        expected, found = self.runner.run(run())
        assert found == expected

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.store.aclose())
        self.model._ledger.reopened()
        self.open(self.keep)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self._same())

    async def _same(self) -> None:
        store, model = self.store, self.model
        since = self.clock - 12
        for where in (
            JobFilter(),
            JobFilter(states=("queued", "failed"), limit=3),
            JobFilter(labels=(("team", "x"),)),
            JobFilter(queue="default", before=self.made),
            JobFilter(since=since),
            JobFilter(since=since, queue="night"),
        ):
            assert await store.list(where) == await model.list(where)
        assert await store.counts() == await model.counts()
        assert await store.open_runs() == await model.open_runs()
        assert await store.queued("default", 5) == await model.queued("default", 5)
        assert await store.next_due() == await model.next_due()
        assert await store.next_overdue() == await model.next_overdue()
        assert set(await store.overdue(self.clock, 99)) == set(await model.overdue(self.clock, 99))
        assert self.heard.entries == self.model_heard.entries == await store.entries(0, 10_000)
        for job in self._jobs():
            assert store.cached(job.id) in (job, None)
            assert await store.history(job.id) == await model.history(job.id)
            assert await store.runs(job.id) == await model.runs(job.id)
            assert await store.checkpoint(job.id) == await model.checkpoint(job.id)
            assert await store.failed_items(job.id, 0, 99) == await model.failed_items(job.id, 0, 99)
            assert await store.result(job.id) == await model.result(job.id)
            assert await store.steps(job.id) == await model.steps(job.id)
            assert job.progress.failed_items == len(await model.failed_items(job.id, 0, 99))
        assert await store.leftovers(99) == await model.leftovers(99)
        assert await store.locks() == await model.locks()
        assert forgotten(self._jobs(), model._ledger) == []
        for name in ("l1", "l2"):
            assert await store.lock(name) == await model.lock(name)
            assert await store.waiting(name) == await model.waiting(name)
        assert stranded(self._jobs(), model._ledger) == []
        assert self.heard.failures == []


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
