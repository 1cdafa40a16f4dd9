"""Owns the task group and the map job -> task; people's verbs end here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial

import anyio
import anyio.abc
import structlog

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import ENDED_STATES, OnConflict
from jobkeepd.core.bulk import Answer, Verb
from jobkeepd.core.lifecycle import may_remove
from jobkeepd.core.liveness import Live
from jobkeepd.core.metrics import Metrics
from jobkeepd.core.model import Entry, Job, Peer
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.errors import IllegalTransition, ShuttingDown, UnknownJob
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Processes
from jobkeepd.store.changes import NewJob, ResumeJob, SubmitJobs, Submitted
from jobkeepd.supervisor.bulk import Bulk
from jobkeepd.supervisor.command_reports import CommandReports
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.drain import Drain
from jobkeepd.supervisor.due import Due
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.heartbeat import Heartbeats
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.locks import Locks
from jobkeepd.supervisor.queues import Queues
from jobkeepd.supervisor.recovery import Recovery
from jobkeepd.supervisor.removal import Removal
from jobkeepd.supervisor.retention import Retention
from jobkeepd.supervisor.rotation import Rotation
from jobkeepd.supervisor.schedules import Schedules
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.stopping import Stopping
from jobkeepd.supervisor.waiters import Waiters
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

WITHDRAW_WITHIN = 2.0


class Supervisor:
    """Implements rpc.services.Jobs."""

    def __init__(
        self,
        workshop: Workshop,
        processes: Processes,
        queues: Mapping[str, QueueSettings],
        feed: Feed,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self.rules = {name: queue.rule for name, queue in queues.items()}
        self.dispatcher = Dispatcher(workshop, queues, group, self._after_run, self._after_adoption)
        self.queues = Queues(self.dispatcher, workshop)
        self.drain = Drain(self.dispatcher, workshop, group)
        self._ending = False
        self._workshop = workshop
        self._store = workshop.store
        self._feed = feed
        self._group = group
        self._waiters = Waiters()
        self.metrics = Metrics()
        self.heartbeats = Heartbeats(self.dispatcher, workshop, self._stop_by_itself, group)
        self.locks = Locks(workshop, processes, Holding(self), group)
        self.recovery = Recovery(self.dispatcher, workshop, workshop.recovery)
        self.schedules = Schedules(workshop, self.rules, lambda: self.queues.names, self._accept)
        self.commands = CommandReports(workshop.store, self.dispatcher.tasks, workshop.clock)
        self.removal = Removal(self.dispatcher, workshop)
        self.retention = Retention(self.removal, workshop, queues)
        self.rotation = Rotation(self.dispatcher.tasks, workshop)
        self.stopping = Stopping(self.dispatcher, workshop, group)
        self._bulk = Bulk(self.stopping.stop, self._resume, self.removal.remove)
        self.due = Due(self.dispatcher, workshop, self.rules)

    def start(self) -> None:
        """Begin to dispatch; recovery comes before."""
        self._group.start_soon(self.dispatcher.keep_dispatching, name="dispatcher")
        self._group.start_soon(self.due.keep_looking, name="due times")
        self._group.start_soon(self.schedules.keep_firing, name="schedules")
        self.heartbeats.start()
        self._group.start_soon(self.locks.leases.keep_looking, name="leases")
        self._group.start_soon(self.locks.leases.keep_expiring, name="leases of clients")
        self._group.start_soon(self.recovery.keep_recovering, name="recovery")
        self._group.start_soon(self.retention.keep_pruning, name="retention")
        self._group.start_soon(self.rotation.keep_rotating, name="rotation")
        self.dispatcher.poke()

    def on_entries(self, entries: Sequence[Entry]) -> None:
        """What was just committed."""
        self._feed.publish(entries)
        self._waiters.notice(entries)
        self.metrics.notice(entries, self._store.cached)
        self.locks.notice(entries)
        self.rotation.notice(entries)
        for entry in entries:
            if entry.kind == "unblocked" and entry.job is not None:
                self._unblocked(entry.job)

    def _unblocked(self, id: str) -> None:
        job = self._store.cached(id)
        assert job is not None  # it has just changed
        self._offer(id, job.spec.queue)

    # -- verbs ---------------------------------------------------------------------------------------------------

    def submit(
        self,
        jobs: tuple[NewJob, ...],
        environments: tuple[tuple[str, bytes], ...],
        by: Peer,
        *,
        request: str | None,
        digest: str,
        on_conflict: OnConflict | None,
        others: bool = True,
    ) -> Latch[Submitted | Exception]:
        if self._ending:
            raise ShuttingDown("the daemon is about to end")
        change = SubmitJobs(
            jobs=jobs,
            environments=environments,
            by=by,
            at=self._workshop.clock.now(),
            request=request,
            digest=digest,
            on_conflict=on_conflict,
            others=others,
            most_waiting=self._workshop.most_waiting(by.uid),
            now=self._workshop.moment(),
            rules=self.rules,
            limits=self._workshop.label_limits,
        )
        answer: Latch[Submitted | Exception] = Latch()
        self._store.post(change, partial(self._submitted, answer, jobs))
        return answer

    async def cancel(self, job: str, by: Peer | None, *, force: bool, reason: str | None) -> Job:
        found = await self._store.get(job)
        return await self.stopping.stop(found.id, "cancelled", by, force, reason)

    async def restart(self, job: str, by: Peer, *, from_start: bool, reason: str | None) -> Job:
        found = await self._store.get(job)
        stop = "restart_from_start" if from_start else "restart"
        return await self.stopping.stop(found.id, stop, by, False, reason)

    async def resume(self, job: str, by: Peer, *, failed_items: bool, reason: str | None) -> Job:
        found = await self._store.get(job)
        return await self._resume(found.id, by, failed_items, reason)

    async def remove(self, job: str, by: Peer, *, reason: str | None) -> str:
        found = await self._store.get(job)
        removed = await self.removal.remove([found.id], by, reason)
        for live in removed.live:
            raise IllegalTransition(live.id, live.state, "remove", may_remove(live.state).reason or "")
        if not removed.ids:
            raise UnknownJob(job)
        return found.id

    async def act(
        self, verb: Verb, jobs: Sequence[Job], by: Peer, reason: str | None, as_of: float | None
    ) -> list[Answer]:
        return await self._bulk.act(verb, jobs, by, reason, as_of)

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
        return None if task is None else task.live()

    async def _resume(self, id: str, by: Peer, failed_items: bool, reason: str | None) -> Job:
        change = ResumeJob(
            job=id, by=by, at=self._workshop.clock.now(), now=self._workshop.moment(), failed_items=failed_items,
            reason=reason, rules=self.rules,
        )  # fmt: skip
        resumed = await self._store.apply(change)
        self.dispatcher.offer(resumed)
        self.due.poke()
        return resumed

    # -- the rest ------------------------------------------------------------------------------------------------

    async def _stop_by_itself(self, job: str, stop: str, reason: str) -> None:
        """What the daemon's own policy wants."""
        await self.stopping.stop((await self._store.get(job)).id, stop, None, False, reason)

    def _after_adoption(self, task: JobTask) -> None:
        """With a stop on record, what the last daemon had promised is carried out."""
        self.drain.adopted(task)
        self.stopping.promised(task)

    def _after_run(self, job: Job) -> None:
        if job.state == "queued":
            self.dispatcher.offer(job)
        elif job.state == "scheduled":
            self.due.poke()

    def _submitted(
        self, answer: Latch[Submitted | Exception], jobs: Sequence[NewJob], done: Submitted | Exception
    ) -> None:
        answer.set(done)  # first, since somebody waits for it
        if isinstance(done, Submitted):
            self._accept(jobs, done)

    def _accept(self, jobs: Sequence[NewJob], done: Submitted) -> None:
        for stopping in done.stopping:
            self._group.start_soon(self.stopping.replace, stopping, name=f"stop {stopping}")
        if done.created:
            for job in jobs:
                self._offer(job.id, job.spec.queue)
            if any(_has_a_time(job.spec) for job in jobs):
                self.due.poke()

    def _offer(self, id: str, queue: str) -> None:
        job = self._store.cached(id)
        if job is not None:
            if job.state == "queued":
                self.dispatcher.offer(job)
        elif queue in self.dispatcher.lanes:
            self.dispatcher.lanes[queue].window.miss()
            self.dispatcher.poke()

    async def stop(self) -> None:
        """Start nothing more and let go of every run; they go on without us."""
        self._ending = True
        self.dispatcher.hold_all()
        tasks = list(self.dispatcher.tasks.values())
        with anyio.move_on_after(WITHDRAW_WITHIN):  # on a full disk it cannot be recorded: the next daemon will
            for task in tasks:
                if task.is_withdrawn:
                    await task.ended()
        for task in tasks:
            task.scope.cancel()


class Hosting:
    """Jobs that run sessions. Implements opening.Jobs."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def held(self) -> str | None:
        dispatcher = self._supervisor.dispatcher
        if dispatcher.draining:
            return "the daemon is draining"
        lane = dispatcher.lanes.get(SESSIONS)
        return f"the queue {SESSIONS} is paused" if lane is not None and lane.control.paused is not None else None

    async def submit(self, job: NewJob, environment: tuple[str, bytes], by: Peer) -> Submitted | Exception:
        asked = self._supervisor.submit((job,), (environment,), by, request=None, digest="", on_conflict=None)
        return await asked.wait()

    async def end(self, id: str, by: Peer | None, reason: str, within: float) -> bool:
        with contextlib.suppress(IllegalTransition):  # it has just ended by itself
            await self._supervisor.cancel(id, by, force=False, reason=reason)
        return bool(await self._supervisor.wait([id], False, within))


def _has_a_time(spec: JobSpec) -> bool:
    """Whether something of it is about a clock."""
    return spec.queue_timeout_s is not None or spec.delay_s is not None or spec.at is not None


class Holding:
    """Runs as holders of locks. Implements locks.Runs."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def has_live_run(self, id: str) -> bool:
        dispatcher = self._supervisor.dispatcher
        return id in dispatcher.tasks or id in dispatcher.unsettled

    async def end_run(self, id: str, by: Peer | None, reason: str) -> None:
        job = await self._supervisor.cancel(id, by, force=True, reason=reason)
        await self._supervisor.wait([job.id], False, None)
