"""Owns the task group and the map job -> task; people's verbs end here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import anyio
import anyio.abc
import structlog

from jobkeep.protocol.vocabulary import ENDED_STATES, OnConflict
from jobkeepd.core.liveness import Live, judge
from jobkeepd.core.model import Entry, Job, Peer
from jobkeepd.errors import ShuttingDown, StorageFailed, StorageFull
from jobkeepd.latch import Latch
from jobkeepd.store.changes import MakeDue, NewJob, RequestStop, ResumeJob, SubmitJobs, Submitted
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.job_task import JobTask, save_progress
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.waiters import Waiters
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

DUE_CHECK = 10.0  # due times are UTC and clocks get set: look again at least this often
PROGRESS_INTERVAL = 2.0


class Supervisor:
    """Implements rpc.services.Jobs."""

    def __init__(
        self, workshop: Workshop, queues: Mapping[str, QueueSettings], feed: Feed, group: anyio.abc.TaskGroup
    ) -> None:
        self.dispatcher = Dispatcher(workshop, queues, group, self._after_run)
        self._workshop = workshop
        self._store = workshop.store
        self._feed = feed
        self._group = group
        self._waiters = Waiters()
        self._due = anyio.Event()

    def start(self) -> None:
        """Begin to dispatch; recovery comes before."""
        self._group.start_soon(self.dispatcher.keep_dispatching, name="dispatcher")
        self._group.start_soon(self._keep_due, name="due times")
        self._group.start_soon(self._keep_progress, name="progress")
        for task in self.dispatcher.tasks.values():
            # Adopted with a stop on record: what the last daemon had promised is carried out.
            if task.job.stop is not None:
                self._group.start_soon(self._carry_out, task, task.job.stop, False, name=f"stop {task.job.id}")
        self.dispatcher.poke()

    def on_entries(self, entries: Sequence[Entry]) -> None:
        """What was just committed."""
        self._feed.publish(entries)
        self._waiters.notice(entries)

    # -- verbs ---------------------------------------------------------------------------------------------------

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
        if self.dispatcher.draining:
            raise ShuttingDown("the daemon is about to end")
        change = SubmitJobs(
            jobs=jobs,
            environments=environments,
            by=by,
            at=self._workshop.clock.now(),
            request=request,
            digest=digest,
            on_conflict=on_conflict,
        )
        answer: Latch[Submitted | Exception] = Latch()
        self._store.post(change, partial(self._submitted, answer, jobs))
        return answer

    async def cancel(self, job: str, by: Peer, *, force: bool, reason: str | None) -> Job:
        return await self._stop(job, "cancelled", by, force, reason)

    async def restart(self, job: str, by: Peer, *, from_start: bool, reason: str | None) -> Job:
        return await self._stop(job, "restart_from_start" if from_start else "restart", by, False, reason)

    async def resume(self, job: str, by: Peer, *, failed_items: bool, reason: str | None) -> Job:
        found = await self._store.get(job)
        at = self._workshop.clock.now()
        change = ResumeJob(job=found.id, by=by, at=at, failed_items=failed_items, reason=reason)
        resumed = await self._store.apply(change)
        self.dispatcher.offer(resumed)
        return resumed

    async def wait(self, ids: Sequence[str], any: bool, timeout: float | None) -> list[Job]:
        jobs = set(ids)
        ended: dict[str, Job] = {}
        with self._waiters.watch(jobs) as watch:
            await self._add_ended(ended, jobs)
            with anyio.move_on_after(timeout):
                while len(ended) < len(jobs) and not (any and ended):
                    await self._add_ended(ended, await watch.ended())
        return list(ended.values())

    async def _add_ended(self, ended: dict[str, Job], candidates: set[str]) -> None:
        for job in await self._store.get_all(list(candidates)):
            if job.state in ENDED_STATES:
                ended[job.id] = job

    def live(self, job: Job) -> Live | None:
        task = self.dispatcher.tasks.get(job.id)
        signs = task.signs if task is not None else None
        if signs is None:
            return None
        now = self._workshop.clock.monotonic()
        return judge(signs.progress, signs.beat_at, signs.moved_at, now, self._workshop.settings.late_after)

    # -- the rest ------------------------------------------------------------------------------------------------

    async def _stop(self, ref: str, stop: str, by: Peer, force: bool, reason: str | None) -> Job:
        job = await self._store.get(ref)
        task = self.dispatcher.tasks.get(job.id)
        if task is not None and task.withdraw():
            await task.left("claiming", "waiting")
        at = self._workshop.clock.now()
        change = RequestStop(job=job.id, stop=stop, by=by, at=at, force=force, reason=reason)
        job = await self._store.apply(change)
        if task is not None:
            self._group.start_soon(self._carry_out, task, stop, force, name=f"stop {job.id}")
        return job

    async def _carry_out(self, task: JobTask, stop: str, force: bool) -> None:
        """End the run of a job for which a stop is on record."""
        await task.left("claiming", "waiting")
        if task.attempt is not None:
            await task.attempt.stop("cancelled" if stop == "cancelled" else "restart", force)

    def _after_run(self, job: Job) -> None:
        if job.state == "queued":
            self.dispatcher.offer(job)
        elif job.state == "scheduled":
            self._due.set()

    def _submitted(
        self, answer: Latch[Submitted | Exception], jobs: Sequence[NewJob], done: Submitted | Exception
    ) -> None:
        answer.set(done)  # first, since somebody waits for it
        if isinstance(done, Submitted) and done.created:
            for job in jobs:
                self._offer(job.id, job.spec.queue)

    def _offer(self, id: str, queue: str) -> None:
        job = self._store.cached(id)
        if job is not None:
            self.dispatcher.offer(job)
        elif queue in self.dispatcher.lanes:
            self.dispatcher.lanes[queue].window.miss()
            self.dispatcher.poke()

    async def due_once(self) -> float:
        """Queue what is due; the seconds until it is worth looking again."""
        now = self._workshop.clock.now()
        for id in await self._store.apply(MakeDue(at=now)):
            self.dispatcher.offer(await self._store.get(id))
        following = await self._store.next_due()
        return DUE_CHECK if following is None else min(max(following - now, 0.0), DUE_CHECK)

    async def _keep_due(self) -> None:
        while True:
            self._due = anyio.Event()
            try:
                delay = await self.due_once()
            except StorageFull:
                delay = DUE_CHECK
            except StorageFailed:
                return  # the daemon has been told, and ends
            with anyio.move_on_after(delay):
                await self._due.wait()

    def progress_once(self) -> None:
        """Store the progress that runs have reported since, so that a crash shows little less."""
        now = self._workshop.clock.now()
        for task in self.dispatcher.tasks.values():
            signs = task.signs
            if signs is not None and signs.unsaved:
                signs.unsaved = False
                self._store.send(save_progress(task.job, signs.progress, now))

    async def _keep_progress(self) -> None:
        while True:
            await anyio.sleep(PROGRESS_INTERVAL)
            self.progress_once()

    async def stop(self) -> None:
        """Start nothing more and let go of every run; they go on without us."""
        self.dispatcher.draining = True
        for task in list(self.dispatcher.tasks.values()):
            if task.withdraw():
                await task.left("claiming", "waiting")
            task.scope.cancel()


