"""Starts what may start: one pass over the lanes, and the task of each job that was picked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio
import anyio.abc
import structlog

from jobkeepd.core.model import Job
from jobkeepd.errors import StartFailed, StorageFailed, StoreError
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.lane import Lane, Pick
from jobkeepd.supervisor.places import Place
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

# When the host cannot fork, waiting helps and hurrying does not.
NO_SLOT_PAUSE = 1.0
# A start that never arrives is sent again, more and more slowly: it may be the seat, or the whole host.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 10.0


class Dispatcher:
    """Owns the map job -> task. A job that was picked is ours until its task is over, whatever becomes of it."""

    def __init__(
        self, workshop: Workshop, queues: Mapping[str, QueueSettings], group: anyio.abc.TaskGroup,
        on_requeued: Callable[[Job], None],
    ) -> None:  # fmt: skip
        self.tasks: dict[str, JobTask] = {}
        self._owned: set[str] = set()  # from being picked on, also before there is a task
        self._unsent: dict[str, int] = {}  # how often in a row a job's start did not arrive
        self.lanes = {name: Lane(name, queue.limit, workshop, self.poke) for name, queue in queues.items()}
        self.draining = False
        self._workshop = workshop
        self._group = group
        self._on_requeued = on_requeued
        self._poked = False
        self._bell: anyio.Event | None = None  # while nothing was to do

    def keep_lane(self, queue: str) -> None:
        """A queue that is configured no more but still has jobs: they run one by one, rather than never."""
        if queue not in self.lanes:
            log.warning("queue_not_configured", queue=queue)
            self.lanes[queue] = Lane(queue, 1, self._workshop, self.poke)

    def poke(self) -> None:
        self._poked = True
        if self._bell is not None:
            self._bell.set()

    def offer(self, job: Job) -> None:
        """A job has become queued. One that is ours is looked at again when its task is over."""
        lane = self.lanes.get(job.spec.queue)
        if lane is not None and job.id not in self._owned:
            lane.window.offer(job)
            self.poke()

    async def keep_dispatching(self) -> None:
        while True:
            if not self._poked:
                self._bell = anyio.Event()
                await self._bell.wait()
                self._bell = None
            self._poked = False
            await self.dispatch_once()

    async def dispatch_once(self) -> None:
        for lane in self.lanes.values():
            if self.draining:
                return
            for pick in await lane.pick():
                self._spawn(lane, pick.job.id, partial(self._start, lane, pick))

    def adopt(self, job: Job, place: Place, behind: bool) -> None:
        """Take over a run that an earlier daemon started, or that was the next one behind it."""
        lane = self.lanes.get(job.spec.queue) or next(iter(self.lanes.values()))
        turn = place.wait_behind(job.id) if behind else None
        if not behind:
            lane.adopted(job.id, place)
        task = JobTask(job, place, turn, lane, self._workshop)
        self.tasks[job.id] = task
        self._spawn(lane, job.id, task.rejoin)

    def _spawn(self, lane: Lane, job: str, work: Callable[[], Awaitable[object]]) -> None:
        self._owned.add(job)
        self._group.start_soon(self._own, lane, job, work, name=f"job {job}")

    async def _own(self, lane: Lane, job: str, work: Callable[[], Awaitable[object]]) -> None:
        """One job's task, in which nothing that happens to it can harm another's."""
        try:
            await work()
            task = self.tasks.get(job)
            if task is not None and task.scope.cancel_called:
                return  # the daemon ends; the run goes on
            await self._slow_down(job, task)
        except StorageFailed:
            return  # the daemon has been told, and ends
        except Exception as error:
            log.error("job_task_failed", job=job, exc_info=error)
            lane.abandoned(job, self.tasks.get(job))
        self.tasks.pop(job, None)
        self._owned.discard(job)
        try:
            self._on_requeued(await self._workshop.store.get(job))
        except StoreError as error:
            log.warning("job_not_requeued", job=job, error=str(error))

    async def _slow_down(self, job: str, task: JobTask | None) -> None:
        if task is None or not task.never_sent:
            self._unsent.pop(job, None)
            return
        count = self._unsent[job] = self._unsent.get(job, 0) + 1
        await anyio.sleep(min(FIRST_PAUSE * 2**count, LONGEST_PAUSE))

    async def _start(self, lane: Lane, pick: Pick) -> None:
        if pick.place is not None:
            await self._drive(JobTask(pick.job, pick.place, pick.turn, lane, self._workshop))
            return
        try:
            environment = await self._workshop.environments.get(pick.need.environment)
            seat = await self._workshop.runner.acquire(pick.need, environment)
        except StartFailed as failed:
            await self._no_seat(lane, pick, failed)
            return
        if self.draining:  # by now
            self._workshop.runner.release(seat)
            lane.unseated(pick.job.id)
            return
        place = Place(seat, self._workshop.clock.monotonic())
        lane.seated(pick.job.id, place)
        await self._drive(JobTask(pick.job, place, None, lane, self._workshop))

    async def _drive(self, task: JobTask) -> None:
        self.tasks[task.job.id] = task
        await task.drive()

    async def _no_seat(self, lane: Lane, pick: Pick, failed: StartFailed) -> None:
        log.warning("no_seat", job=pick.job.id, queue=lane.name, stage=failed.stage, reason=str(failed))
        if failed.stage == "slot":
            await anyio.sleep(NO_SLOT_PAUSE)
        else:
            task = self.tasks[pick.job.id] = JobTask(pick.job, None, None, lane, self._workshop)
            await task.fail_start(str(failed))
        lane.unseated(pick.job.id)
