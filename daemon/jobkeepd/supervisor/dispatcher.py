"""Starts what may start: one pass over the lanes, and the task of each job that was picked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.abc
import structlog

from jobkeepd.core.model import Job
from jobkeepd.errors import StartFailed
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.lane import Lane, Pick
from jobkeepd.supervisor.places import Place
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

# When the host cannot fork, waiting helps and hurrying does not.
NO_SLOT_PAUSE = 1.0


class Dispatcher:
    """Owns the map job -> task."""

    def __init__(
        self, workshop: Workshop, queues: Mapping[str, QueueSettings], group: anyio.abc.TaskGroup,
        on_requeued: Callable[[Job], None],
    ) -> None:  # fmt: skip
        self.tasks: dict[str, JobTask] = {}
        self.lanes = {name: Lane(name, queue.limit, workshop, self.poke) for name, queue in queues.items()}
        self.draining = False
        self._workshop = workshop
        self._group = group
        self._on_requeued = on_requeued
        self._poked = anyio.Event()

    def poke(self) -> None:
        self._poked.set()

    def offer(self, job: Job) -> None:
        """A job has become queued."""
        lane = self.lanes.get(job.spec.queue)
        if lane is not None and job.id not in self.tasks:
            lane.window.offer(job)
            self.poke()

    async def keep_dispatching(self) -> None:
        while True:
            await self._poked.wait()
            self._poked = anyio.Event()
            await self.dispatch_once()

    async def dispatch_once(self) -> None:
        for lane in self.lanes.values():
            if self.draining:
                return
            for pick in await lane.pick():
                self._group.start_soon(self._start, lane, pick, name=f"job {pick.job.id}")

    def adopt(self, job: Job, place: Place, behind: bool) -> None:
        """Take over a run that an earlier daemon started, or that was the next one behind it."""
        lane = self.lanes.get(job.spec.queue) or next(iter(self.lanes.values()))
        turn = place.wait_behind(job.id) if behind else None
        if not behind:
            lane.adopted(job.id, place)
        task = JobTask(job, place, turn, lane, self._workshop)
        self.tasks[job.id] = task
        self._group.start_soon(self._own, task, task.rejoin, name=f"job {job.id}")

    async def _start(self, lane: Lane, pick: Pick) -> None:
        if pick.place is not None:
            task = JobTask(pick.job, pick.place, pick.turn, lane, self._workshop)
            await self._own(task, task.drive)
            return
        try:
            environment = await self._workshop.environments.get(pick.need.environment)
            seat = await self._workshop.runner.acquire(pick.need, environment)
        except StartFailed as failed:
            await self._no_seat(lane, pick, failed)
            return
        place = Place(seat, self._workshop.clock.monotonic())
        lane.seated(pick.job.id, place)
        task = JobTask(pick.job, place, None, lane, self._workshop)
        await self._own(task, task.drive)

    async def _no_seat(self, lane: Lane, pick: Pick, failed: StartFailed) -> None:
        log.warning("no_seat", job=pick.job.id, queue=lane.name, stage=failed.stage, reason=str(failed))
        if failed.stage == "slot":
            await anyio.sleep(NO_SLOT_PAUSE)
            lane.unseated(pick.job.id)
            self.offer(pick.job)
            return
        task = JobTask(pick.job, None, None, lane, self._workshop)
        self.tasks[pick.job.id] = task
        await task.fail_start(str(failed))
        del self.tasks[pick.job.id]
        lane.unseated(pick.job.id)

    async def _own(self, task: JobTask, drive: Callable[[], Awaitable[Job | None]]) -> None:
        self.tasks[task.job.id] = task
        job = await drive()
        if task.scope.cancel_called:
            return  # the daemon ends; the run goes on
        del self.tasks[task.job.id]
        if job is None:
            job = await self._workshop.store.get(task.job.id)
        self._on_requeued(job)
