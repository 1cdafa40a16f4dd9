"""The daemon behind the wire, in memory: ports of rpc/services.py that remember what was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import anyio

from jobkeep.protocol import worker as wire
from jobkeep.protocol.vocabulary import ENDED_STATES, JobState, OnConflict, RunOutcome
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Job, JobSpec, Peer, RunRef
from jobkeepd.errors import StaleToken, UnknownWorker
from jobkeepd.latch import Latch
from jobkeepd.rpc.services import HostStatus, Services
from jobkeepd.store.base import Store
from jobkeepd.store.changes import (
    ClaimRun,
    EndRun,
    MarkRunning,
    NewJob,
    RequestStop,
    ResumeJob,
    SubmitJobs,
    Submitted,
)
from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.feed import Feed

START = 1_700_000_000.0
ME = Peer(uid=1000, gid=1000, pid=1)


class FakeClock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - START


class FakeJobs:
    """Verbs straight to the store: nothing ever runs unless a test says so."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.signs: dict[str, Live] = {}
        self.wakes = anyio.Event()
        self.waiting = 0

    def submit(
        self,
        jobs: tuple[NewJob, ...],
        environments: tuple[tuple[str, bytes], ...],
        by: Peer,
        *,
        request: str | None,
        digest: str,
        on_conflict: OnConflict,
    ) -> Latch[Submitted | Exception]:
        change = SubmitJobs(
            jobs=jobs,
            environments=environments,
            by=by,
            at=self.clock.now(),
            request=request,
            digest=digest,
            on_conflict=on_conflict,
        )
        answer: Latch[Submitted | Exception] = Latch()
        self.store.post(change, answer.set)
        return answer

    async def cancel(self, job: str, by: Peer, *, force: bool, reason: str | None) -> Job:
        return await self._stop(job, "cancelled", by, reason)

    async def restart(self, job: str, by: Peer, *, from_start: bool, reason: str | None) -> Job:
        return await self._stop(job, "restart_from_start" if from_start else "restart", by, reason)

    async def _stop(self, ref: str, stop: str, by: Peer, reason: str | None) -> Job:
        job = await self.store.get(ref)
        return await self.store.apply(
            RequestStop(job=job.id, stop=stop, by=by, at=self.clock.now(), reason=reason)
        )

    async def resume(self, job: str, by: Peer, *, failed_items: bool, reason: str | None) -> Job:
        found = await self.store.get(job)
        return await self.store.apply(
            ResumeJob(job=found.id, by=by, at=self.clock.now(), failed_items=failed_items, reason=reason)
        )

    async def wait(self, ids: Sequence[str], any: bool, timeout: float | None) -> list[Job]:
        self.waiting += 1
        try:
            with anyio.move_on_after(timeout):
                while True:
                    jobs = [await self.store.get(id) for id in ids]
                    ended = [job for job in jobs if job.state in ENDED_STATES]
                    if len(ended) == len(jobs) or (any and ended):
                        return ended
                    await self.wakes.wait()
                    self.wakes = anyio.Event()
            return [job for job in [await self.store.get(id) for id in ids] if job.state in ENDED_STATES]
        finally:
            self.waiting -= 1

    def live(self, job: Job) -> Live | None:
        return self.signs.get(job.id)


class FakeWorker:
    def __init__(self, send: Callable[[wire.Order], None], close: Callable[[], None]) -> None:
        self.send = send
        self.close = close
        self.gone = anyio.Event()

    def detached(self) -> None:
        self.gone.set()


class FakeWorkers:
    """Expects one worker, `seat`; reports take effect when they are called and are durable when `commit` is set."""

    def __init__(self) -> None:
        self.attached: list[FakeWorker] = []
        self.came = anyio.Event()
        self.taken: list[str] = []
        self.commit = anyio.Event()
        self.durable = 0

    def attach(
        self, hello: wire.AttachParameters, peer: Peer, send: Callable[[wire.Order], None], close: Callable[[], None]
    ) -> FakeWorker:
        if hello.worker != "seat":
            raise UnknownWorker(hello.worker)
        self.attached.append(FakeWorker(send, close))
        self.came.set()
        return self.attached[-1]

    def beat(self, report: wire.BeatParameters) -> None:
        if report.fence != 1:
            raise StaleToken(report.run)
        self.taken.append(f"beat {report.ticks}")

    def progress(self, report: wire.ProgressParameters) -> None:
        self.taken.append(f"progress {report.done}")

    def checkpoint(self, report: wire.CheckpointParameters) -> Awaitable[None]:
        self.taken.append(f"checkpoint {report.seq}")
        return self._durable()

    def finish(self, report: wire.FinishParameters) -> Awaitable[None]:
        self.taken.append(f"finish {report.outcome}")
        return self._durable()

    async def failed_keys(self, report: wire.FailedKeysParameters) -> list[wire.ItemKey]:
        return [wire.ItemKey("0", "a")]

    async def _durable(self) -> None:
        await self.commit.wait()
        self.durable += 1


class FakeHost:
    def __init__(self) -> None:
        self.stopped = False

    def status(self) -> HostStatus:
        return HostStatus("0.1.0", 42, 1.5, 1 << 20, "/run/s", "/state", "/run", "3.50.7", {"default": 2, "slow": 1})

    def stop(self) -> None:
        self.stopped = True


class FakeDaemon:
    """All of it, and shortcuts for tests."""

    def __init__(self, log_dir: str) -> None:
        self.clock = FakeClock()
        self.feed = Feed()
        self.store = MemoryStore(self.feed.publish)
        self.jobs = FakeJobs(self.store, self.clock)
        self.workers = FakeWorkers()
        self.host = FakeHost()
        numbers = count(1)
        self.services = Services(
            store=self.store,
            jobs=self.jobs,
            workers=self.workers,
            feed=self.feed,
            host=self.host,
            clock=self.clock,
            new_id=lambda: f"job{next(numbers)}",
            output=lambda job, number, stream: f"{log_dir}/{job}/{number}.{stream}",
            queues=lambda: ("default", "slow"),
        )

    async def submitted(self, id: str, spec: JobSpec | None = None) -> Job:
        job = NewJob(id, spec or JobSpec(command=["true"]), None)
        await self.store.apply(SubmitJobs(jobs=(job,), by=ME, at=self.clock.now()))
        return await self.store.get(id)

    async def started(self, id: str) -> Job:
        """A run of a queued job begins."""
        at = self.clock.now()
        job = await self.store.apply(ClaimRun(job=id, seat="slot", epoch=1, cookie="c", at=at))
        assert job is not None
        await self.store.apply(MarkRunning(run=job.ref, at=at))
        return await self.store.get(id)

    async def ended(
        self, id: str, outcome: RunOutcome = "succeeded", state: JobState = "succeeded", status: int | None = 0
    ) -> Job:
        """The open run of a job ends."""
        ref: RunRef = (await self.store.get(id)).ref
        await self.store.apply(EndRun(run=ref, outcome=outcome, state=state, at=self.clock.now(), status=status))
        self.jobs.wakes.set()
        return await self.store.get(id)

    async def finished_job(self, id: str, spec: JobSpec | None = None) -> Job:
        await self.submitted(id, spec)
        await self.started(id)
        self.clock.at += 2.5
        return await self.ended(id)
