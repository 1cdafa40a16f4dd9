"""What workers say: each message finds its run and its fence, or is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec.structs import replace

from jobkeep.protocol import worker as wire
from jobkeep.protocol.jobs import Progress
from jobkeepd.core.model import Job, Peer, RunRef
from jobkeepd.errors import StaleToken, UnknownJob, UnknownWorker
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Signs
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.runner.worker_seat import Current, WorkerSeat
from jobkeepd.store.base import Store
from jobkeepd.store.changes import SaveCheckpoint


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
        signs.beat_at = self._surroundings.clock.monotonic()
        signs.ticks = report.ticks

    def progress(self, report: wire.ProgressParameters) -> None:
        signs = self._find(report.run, report.fence)[1].signs
        before = signs.progress
        tallies = before.tallies if report.tallies is None else report.tallies
        self._moved(
            signs, Progress(report.done, report.total, report.note, tallies, before.failed_items), unsaved=True
        )

    def checkpoint(self, report: wire.CheckpointParameters) -> Awaitable[None]:
        signs = self._find(report.run, report.fence)[1].signs
        change = save_checkpoint(report, self._surroundings.clock.now())
        # how many items are on record only the store knows
        failed_items = signs.progress.failed_items
        progress = Progress(report.done, report.total, report.note, report.tallies, failed_items)
        self._moved(signs, progress, unsaved=False)
        return self._save(change, signs)

    async def _save(self, change: SaveCheckpoint, signs: Signs) -> None:
        await self._store.apply(change)
        job = self._store.cached(change.run.job)
        if job is not None and signs.progress.failed_items != job.progress.failed_items:
            signs.progress = replace(signs.progress, failed_items=job.progress.failed_items)

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

    def _moved(self, signs: Signs, progress: Progress, *, unsaved: bool) -> None:
        now = self._surroundings.clock.monotonic()
        if progress != signs.progress:
            signs.moved_at = now
            signs.unsaved = unsaved
        signs.progress = progress
        signs.beat_at = now

    def _find(self, run: str, fence: int) -> tuple[WorkerSeat, Current]:
        for seat in self._seats.values():
            current = seat.currents.get(run)
            if current is not None and current.ref.fence == fence:
                return seat, current
        raise StaleToken(run)


def run_ref(run: str, fence: int) -> RunRef:
    job, _, number = run.partition(".")
    return RunRef(job, int(number), fence)


def save_checkpoint(report: wire.CheckpointParameters, at: float) -> SaveCheckpoint:
    return SaveCheckpoint(
        run=run_ref(report.run, report.fence),
        seq=report.seq,
        cursor=report.cursor,
        state=report.state,
        done=report.done,
        total=report.total,
        note=report.note,
        tallies=report.tallies,
        failed=tuple(report.failed),
        resolved=tuple(report.resolved),
        at=at,
    )

