"""Starts what may start: one pass over the lanes, and the task of each job that was picked."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio
import anyio.abc
import structlog

from jobkeepd.core.model import Job
from jobkeepd.errors import StartFailed, StorageFailed, StoreError, UnknownJob
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.lane import Lane, Pick
from jobkeepd.supervisor.leaving import Leaving
from jobkeepd.supervisor.places import Place
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

# When the host cannot fork, waiting helps and hurrying does not.
NO_SLOT_PAUSE = 1.0
# Whoever kills a worker that is still to begin, such as the kernel out of memory, may do so each time.
KILLED_STARTS = 5
# A start that never arrives is sent again, more and more slowly: it may be the seat, or the whole host.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 10.0
SHORTEST = 0.001  # seconds between two looks at who has waited for too long: less may be nothing to a clock


class Dispatcher:
    """Owns the map job -> task. A job that was picked is ours until its task is over, whatever becomes of it."""

    def __init__(
        self, workshop: Workshop, queues: Mapping[str, QueueSettings], group: anyio.abc.TaskGroup,
        on_requeued: Callable[[Job], None], on_adopted: Callable[[JobTask], None],
    ) -> None:  # fmt: skip
        self.tasks: dict[str, JobTask] = {}
        self.broken: dict[str, JobTask] = {}  # whose runs nobody follows: recovery's business
        self.unsettled: set[str] = set()  # what an earlier daemon has left, until it is known how it ended
        self._owned: set[str] = set()  # from being picked on, also before there is a task
        self.leaving = Leaving(lambda job: job in self._owned or job in self.unsettled)
        self._unsent: dict[str, int] = {}  # how often in a row a job's start did not arrive
        self._killed: dict[str, int] = {}  # how often in a row the worker meant for a job was killed while it started
        self.lanes = {name: Lane(name, queue.limit, workshop, self.poke, self._owned) for name, queue in queues.items()}
        self.draining = False  # nothing is started
        self._workshop = workshop
        self._group = group
        self._on_requeued = on_requeued
        self._on_adopted = on_adopted
        self._poked = False
        self._bell: anyio.Event | None = None  # while nothing was to do

    def keep_lane(self, queue: str, limit: int | None = None) -> None:
        """Of a queue that has none. Without a limit it is configured no more but still has jobs: they run one by one,
        rather than never.
        """
        if queue not in self.lanes:
            if limit is None:
                log.warning("queue_not_configured", queue=queue)
            self.lanes[queue] = Lane(queue, limit or 1, self._workshop, self.poke, self._owned)

    def poke(self) -> None:
        self._poked = True
        if self._bell is not None:
            self._bell.set()

    def offer(self, job: Job) -> None:
        """A job has become queued. One that is ours is looked at again when its task is over.

        One with an open run is queued by name alone: until it is known how that ended, each claim would be refused.
        """
        lane = self.lanes.get(job.spec.queue)
        waits = job.state == "queued" and job.blocked is None and not has_open_run(job)
        if lane is not None and waits and job.id not in self._owned:
            lane.window.offer(job)
            if lane.has_room:
                self.poke()

    def rejoin_broken(self, job: Job) -> bool:
        """Follow the run of a task that broke; False where its seat is not known."""
        task = self.broken.pop(job.id, None)
        if task is None or task.place is None:
            return False
        self.adopt(job, Place(task.place.seat, self._workshop.clock.monotonic()), behind=False)
        return True

    def reread(self) -> None:
        """Look on disk for what is queued: nobody may wait because a word was lost."""
        for lane in self.lanes.values():
            lane.window.miss()
        self.poke()

    def hold_all(self) -> list[JobTask]:
        """Start nothing more, and take back what was not sent: the jobs whose claims are being revoked now."""
        self.draining = True
        return self.hold()

    def hold(self, queue: str | None = None) -> list[JobTask]:
        """Take back what was not sent: of one queue, or of all."""
        tasks = [task for task in self.tasks.values() if queue in (None, task.job.spec.queue)]
        return [task for task in tasks if not task.is_withdrawn and task.withdraw()]

    def release(self) -> None:
        """Start jobs again."""
        self.draining = False
        self.poke()

    async def keep_dispatching(self) -> None:
        while True:
            patience = self._recall()
            if not self._poked:
                self._bell = anyio.Event()
                with anyio.move_on_after(max(patience, SHORTEST)):
                    await self._bell.wait()
                self._bell = None
            self._poked = False
            await self.dispatch_once()

    def _recall(self) -> float:
        """Queue those again who wait behind a run that lasts: seats that get free are theirs, in their order. Seconds
        until there may be more of them.
        """
        now, soonest = self._workshop.clock.monotonic(), math.inf
        for lane in self.lanes.values():
            jobs, then = lane.impatient(now)
            soonest = min(soonest, then)
            for job in jobs:
                if (task := self.tasks.get(job)) is not None:
                    task.withdraw()
        return soonest

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
        task = JobTask(job, place, turn, lane, self._workshop, adopted=True)
        self.tasks[job.id] = task
        self._spawn(lane, job.id, task.rejoin)

        self._on_adopted(task)

    def returned(self, job: Job) -> None:
        """Its run has ended before it could be adopted: it may be queued now."""
        self._on_requeued(job)

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
            if (broken := self.tasks.get(job)) is not None:
                self.broken[job] = broken
        task = self.tasks.pop(job, None)
        if task is not None:
            task.close()
        self._owned.discard(job)
        self.leaving.let_go(job)
        try:
            self._on_requeued(await self._workshop.store.get(job))
        except UnknownJob:
            pass  # it has ended, and was removed since
        except StoreError as error:
            log.warning("job_not_requeued", job=job, error=str(error))

    async def _slow_down(self, job: str, task: JobTask | None) -> None:
        if task is None or not task.never_sent:
            self._unsent.pop(job, None)
            return
        count = self._unsent[job] = self._unsent.get(job, 0) + 1
        await anyio.sleep(min(FIRST_PAUSE * 2**count, LONGEST_PAUSE))

    async def _start(self, lane: Lane, pick: Pick) -> None:
        if self.draining or lane.is_paused:  # since it was picked
            lane.unpicked(pick)
            return
        place = pick.place or await self._take_seat(lane, pick)
        if place is not None:
            task = self.tasks[pick.job.id] = JobTask(pick.job, place, pick.turn, lane, self._workshop)
            await task.drive()

    async def _take_seat(self, lane: Lane, pick: Pick) -> Place | None:
        try:
            given = await self._workshop.given(pick.job, pick.need.environment)
            seat = await self._workshop.runner.acquire(pick.need, given.variables)
        except StartFailed as failed:
            await self._no_seat(lane, pick, failed)
            return None
        if self.draining or lane.is_paused:  # by now
            self._workshop.runner.release(seat)
            lane.unpicked(pick)
            return None
        self._killed.pop(pick.job.id, None)
        place = Place(seat, self._workshop.clock.monotonic())
        lane.seated(pick.job.id, place)
        return place

    async def _no_seat(self, lane: Lane, pick: Pick, failed: StartFailed) -> None:
        log.warning("no_seat", job=pick.job.id, queue=lane.name, stage=failed.stage, reason=str(failed))
        if failed.stage == "slot":
            await anyio.sleep(NO_SLOT_PAUSE)
        elif failed.stage == "killed" and self._killed.get(pick.job.id, 1) < KILLED_STARTS:
            self._killed[pick.job.id] = self._killed.get(pick.job.id, 1) + 1
        else:
            self._killed.pop(pick.job.id, None)
            task = self.tasks[pick.job.id] = JobTask(pick.job, None, None, lane, self._workshop)
            await task.fail_start(str(failed))
        lane.unseated(pick.job.id)
