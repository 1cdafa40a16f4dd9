"""The daemon behind the wire, in memory: ports of rpc/services.py that remember what was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import anyio
from msgspec import Raw

from jobkeep.protocol import worker as wire
from jobkeep.protocol.admin import Change, ReloadReply
from jobkeep.protocol.vocabulary import DrainCommands, JobState, RunOutcome
from jobkeepd.core.metrics import Metrics
from jobkeepd.core.model import Job, JobSpec, Peer, RunRef
from jobkeepd.errors import StaleToken, UnknownStep, UnknownWorker
from jobkeepd.rpc.services import HostStatus, Services
from jobkeepd.runner.stream_log import StreamLog
from jobkeepd.store.backups import Backup, Health
from jobkeepd.store.changes import (
    ClaimRun,
    EndRun,
    MarkRunning,
    NewJob,
    SubmitJobs,
)
from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.command_reports import CommandReports
from jobkeepd.supervisor.drain import Drained, Report
from jobkeepd.supervisor.feed import Feed
from rpc.fake_cleanup import FakeCleanup
from rpc.fake_jobs import FakeJobs
from rpc.fake_locks import START, FakeClock, FakeLocks, FakeRecovery
from rpc.fake_queues import FakeQueues
from rpc.fake_schedules import fake_schedules
from rpc.fake_sessions import FakeSessions

ME = Peer(uid=1000, gid=1000, pid=1)


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

    def save_step(self, report: wire.SaveStepParameters) -> Awaitable[None]:
        self.taken.append(f"step {report.ordinal} {report.name}")
        return self._durable()

    def finish(self, report: wire.FinishParameters) -> Awaitable[None]:
        self.taken.append(f"finish {report.outcome}")
        return self._durable()

    async def failed_keys(self, report: wire.FailedKeysParameters) -> list[wire.ItemKey]:
        return [wire.ItemKey("0", "a")]

    async def step_result(self, report: wire.StepResultParameters) -> Raw:
        if report.ordinal:
            raise UnknownStep("abc", report.ordinal)
        return Raw(b'{"a": 1}')

    async def _durable(self) -> None:
        await self.commit.wait()
        self.durable += 1


class FakeHost:
    def __init__(self) -> None:
        self.stopped = False
        self.reloaded = ReloadReply([Change("jobs.grace", 1.0, 2.0)], [])

    def status(self) -> HostStatus:
        return HostStatus("boot-1", "0.1.0", 42, 1.5, 1 << 20, "/run/s", "/state", "/run", "3.50.7")

    def reload(self) -> ReloadReply:
        return self.reloaded

    def stop(self) -> float:
        self.stopped = True
        return 2.5


class FakeDrains:
    """Says what the test wants it to say."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.asked: list[tuple[Peer | None, DrainCommands, float | None]] = []
        self.runs: list[Drained] = []
        self.over = True

    async def drain(self, by: Peer | None, commands: DrainCommands, timeout: float | None) -> Report:
        self.asked.append((by, commands, timeout))
        self.since = START
        return Report(self.since, self.over, self.runs)

    def call_off(self, by: Peer | None) -> bool:
        before, self.since = self.since, None
        return before is not None


class FakeBackups:
    """Says what the test wants it to say."""

    def __init__(self) -> None:
        self.asked: list[tuple[Path, float, bool]] = []
        self.refuses: Exception | None = None
        self.problems: list[str] = []

    async def back_up(self, to: Path, at: float, *, force: bool) -> Backup:
        self.asked.append((to, at, force))
        if self.refuses is not None:
            raise self.refuses
        return Backup(4096, 3, 7, "e1", at, "boot")

    async def check(self) -> Health:
        return Health(self.problems, 8192)

    async def aclose(self) -> None: ...


class FakeDaemon:
    """All of it, and shortcuts for tests."""

    def __init__(self, log_dir: str) -> None:
        self.clock = FakeClock()
        self.feed = Feed()
        self.store = MemoryStore(self.feed.publish)
        self.jobs = FakeJobs(self.store, self.clock)
        self.queues = FakeQueues(self.store, self.clock)
        self.schedules = fake_schedules(self.store, self.clock)
        self.drains = FakeDrains()
        self.workers = FakeWorkers()
        self.locks = FakeLocks(self.store, self.clock)
        self.sessions = FakeSessions(self.locks, self.store)
        self.recovery = FakeRecovery(self.store)
        self.cleanup = FakeCleanup()
        self.backups = FakeBackups()
        self.host = FakeHost()
        self.metrics = Metrics()
        numbers = count(1)
        self.services = Services(
            store=self.store,
            jobs=self.jobs,
            queues=self.queues,
            schedules=self.schedules,
            drains=self.drains,
            workers=self.workers,
            commands=CommandReports(self.store, {}, self.clock),
            locks=self.locks,
            sessions=self.sessions,
            recovery=self.recovery,
            cleanup=self.cleanup,
            backups=self.backups,
            feed=self.feed,
            metrics=self.metrics,
            host=self.host,
            clock=self.clock,
            new_id=lambda: f"job{next(numbers)}",
            output=lambda job, number, stream: StreamLog.open(
                f"{log_dir}/{job}/{number}.{stream}", f"{log_dir}/{job}/{number}.{stream}.rotated"
            ),
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
