"""What workers say: each message finds its run and its fence, or is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Raw
from msgspec.structs import replace

from jobkeep.protocol import worker as wire
from jobkeep.protocol.jobs import Progress
from jobkeepd.core.liveness import Signs
from jobkeepd.core.model import Job, Peer
from jobkeepd.errors import StaleToken, UnknownJob, UnknownStep, UnknownWorker
from jobkeepd.latch import Latch
from jobkeepd.runner.current import Current
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.runner.worker_seat import WorkerSeat
from jobkeepd.store.base import Store
from jobkeepd.store.changes import SaveCheckpoint
from jobkeepd.supervisor.words import run_ref, save_checkpoint, save_step


class Attachment:
    """A worker's order connection, as its handler sees it."""

    def __init__(self, seat: WorkerSeat, send: Callable[[wire.Order], None]) -> None:
        self._seat = seat
        self._send = send

    def detached(self) -> None:
        self._seat.detached(self._send)


class Reports:
    """Implements rpc.services.Workers."""

    def __init__(self, seats: Mapping[str, WorkerSeat], store: Store, surroundings: Surroundings) -> None:
        self._seats = seats
        self._store = store
        self._surroundings = surroundings

    def attach(
        self, hello: wire.AttachParameters, peer: Peer, send: Callable[[wire.Order], None], close: Callable[[], None]
    ) -> Attachment:
        seat = self._seats.get(hello.worker)
        if seat is None or hello.cookie != self._surroundings.worker_cookie(hello.worker):
            raise UnknownWorker(hello.worker)
        seat.attach(hello, send, close)
        return Attachment(seat, send)

    def beat(self, report: wire.BeatParameters) -> None:
        signs = self._find(report.run, report.fence)[1].signs
        signs.beat(report.ticks, self._surroundings.clock.monotonic())

    def progress(self, report: wire.ProgressParameters) -> None:
        signs = self._find(report.run, report.fence)[1].signs
        before = signs.progress
        tallies = before.tallies if report.tallies is None else report.tallies
        progress = Progress(report.done, report.total, report.note, tallies, before.failed_items)
        signs.tell(progress, self._surroundings.clock.monotonic())

    def checkpoint(self, report: wire.CheckpointParameters) -> Awaitable[None]:
        signs = self._find(report.run, report.fence)[1].signs
        change = save_checkpoint(report, self._surroundings.clock.now())
        # how many items are on record only the store knows
        failed_items = signs.progress.failed_items
        progress = Progress(report.done, report.total, report.note, report.tallies, failed_items)
        signs.reach(report.seq, progress, self._surroundings.clock.monotonic())
        return self._save(change, signs)

    async def _save(self, change: SaveCheckpoint, signs: Signs) -> None:
        await self._store.apply(change)
        job = self._store.cached(change.run.job)
        if job is not None and signs.progress.failed_items != job.progress.failed_items:
            signs.progress = replace(signs.progress, failed_items=job.progress.failed_items)

    def save_step(self, report: wire.SaveStepParameters) -> Awaitable[None]:
        signs = self._find(report.run, report.fence)[1].signs
        signs.beat_at = signs.moved_at = self._surroundings.clock.monotonic()
        return self._store.apply(save_step(report, self._surroundings.clock.now()))

    def finish(self, report: wire.FinishParameters) -> Latch[None] | Awaitable[None]:
        try:
            seat, _ = self._find(report.run, report.fence)
        except StaleToken:
            return self._already_ended(report)
        return seat.finish(report)

    async def failed_keys(self, report: wire.FailedKeysParameters) -> list[wire.ItemKey]:
        self._find(report.run, report.fence)
        job = report.run.partition(".")[0]
        items = await self._store.failed_items(job, report.after, report.limit)
        return [wire.ItemKey(item.batch, item.key) for item in items]

    async def step_result(self, report: wire.StepResultParameters) -> Raw:
        self._find(report.run, report.fence)
        job = report.run.partition(".")[0]
        result = await self._store.step_result(job, report.ordinal)
        if result is None:
            raise UnknownStep(job, report.ordinal)
        return result

    async def _already_ended(self, report: wire.FinishParameters) -> None:
        """A worker repeats itself when it did not hear our answer: what is on record already is done."""
        ref = run_ref(report.run, report.fence)
        try:
            job: Job = await self._store.get(ref.job)
        except UnknownJob:
            raise StaleToken(report.run) from None
        for run in await self._store.runs(job.id):
            if (run.number, run.fence) == (ref.number, ref.fence) and run.state == "ended":
                return
        raise StaleToken(report.run)

    def _find(self, run: str, fence: int) -> tuple[WorkerSeat, Current]:
        for seat in self._seats.values():
            current = seat.currents.get(run)
            if current is not None and current.ref.fence == fence and not current.fenced:
                return seat, current
        raise StaleToken(run)
