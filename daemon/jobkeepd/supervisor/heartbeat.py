"""Running jobs while they run: is one stalled or silent, how far is each, and what is worth keeping of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import structlog

from jobkeep.protocol.vocabulary import OnStall
from jobkeepd.core.liveness import Live, judge, why_fence
from jobkeepd.core.model import Job
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.core.wording import in_words, progress_in_words
from jobkeepd.errors import DaemonError, IllegalTransition, StaleToken, StorageFailed
from jobkeepd.store.changes import FenceRun, Note
from jobkeepd.store.rows import name_of
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.life import Life
from jobkeepd.supervisor.outcomes import save_progress
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

LOOK = 2.0  # seconds between two looks
MANY = 20  # jobs, of which each has a line of its own in the log

Stop = Callable[[str, str, str], Awaitable[None]]  # job, what job.stop becomes, reason


class Heartbeats:
    """Looks at every run of this daemon, now and then."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop, stop: Stop, group: anyio.abc.TaskGroup) -> None:
        self._dispatcher = dispatcher
        self._workshop = workshop
        self._stop = stop
        self._group = group
        self._stalled: dict[str, int] = {}  # job -> number of the run whose stall has been told
        self._fencing: set[str] = set()

    def start(self) -> None:
        self._group.start_soon(self._keep_looking, name="signs of life")
        self._group.start_soon(self._keep_logging, name="heartbeat log")

    async def _keep_looking(self) -> None:
        while True:
            await anyio.sleep(LOOK)
            self.look_once()

    async def _keep_logging(self) -> None:
        while True:
            await anyio.sleep(self._workshop.settings.heartbeat_log_interval)
            self.log_once()

    def _running(self) -> list[JobTask]:
        return [task for task in self._dispatcher.tasks.values() if task.phase == "running"]

    # -- stalled, or silent for good -------------------------------------------------------------------------------

    def look_once(self) -> None:
        """Judge every run, act on what that says, and store what progress they have reported."""
        now = self._workshop.clock.monotonic()
        running = self._running()
        for task in running:
            self._look(task, now)
        followed = {task.job.id for task in running}
        self._stalled = {job: number for job, number in self._stalled.items() if job in followed}
        self._save()

    def _look(self, task: JobTask, now: float) -> None:
        assert task.life is not None
        signs, job = task.life.signs, task.job
        assert task.place is not None and job.run is not None
        limits, ttl = self._workshop.limits(job.spec), self._workshop.locks.ttl
        silent = signs.silent_for(now)
        if (limits.stall_after is not None) if silent is None else silent >= min(limits.late_after, ttl):
            signs.see(task.place.seat.look(job.ref), now)
        live = judge(signs, limits, now)
        if live.health != "stalled":
            self._stalled.pop(job.id, None)
        elif self._stalled.get(job.id) != job.run.number and not task.is_stopping:
            self._stalled[job.id] = job.run.number
            self._tell_stall(task, live)
        why = why_fence(signs, ttl, now)
        if why is not None and not (job.run.fenced or task.is_stopping or job.id in self._fencing):
            self._fencing.add(job.id)
            self._group.start_soon(self._fence, task, why, name=f"fence {job.id}")

    def _tell_stall(self, task: JobTask, live: Live) -> None:
        """Once for each time that it stalls."""
        job, number = task.job, task.job.ref.number
        on_stall = job.spec.on_stall or self._workshop.settings.on_stall
        data = {"reason": live.reason, "on_stall": on_stall}
        log.warning("job_stalled", job=job.id, run=number, name=name_of(job.spec), **data)
        note = Note(kind="stalled", at=self._workshop.clock.now(), job=job.id, run=number, data=data)
        self._workshop.store.send(note)
        if on_stall != "alert":
            self._group.start_soon(self._end_stalled, job.id, on_stall, f"stalled: {live.reason}")

    async def _end_stalled(self, job: str, on_stall: OnStall, reason: str) -> None:
        try:
            await self._stop(job, "cancelled" if on_stall == "cancel" else "restart_stalled", reason)
        except (IllegalTransition, StorageFailed):
            return  # it has ended meanwhile; or the daemon ends
        except DaemonError as error:
            log.warning("stalled_job_not_ended", job=job, error=str(error))
            self._stalled.pop(job, None)  # the next look tries again

    async def _fence(self, task: JobTask, reason: str) -> None:
        """From now on nothing counts that the run says; it stays open, and keeps its lock, until it is gone."""
        ref, place = task.job.ref, task.place
        assert place is not None
        if not place.seat.fence(ref):
            self._fencing.discard(ref.job)
            return  # it has ended already, and its process is being ended
        try:
            change = FenceRun(run=ref, at=self._workshop.clock.now(), reason=reason)
            task.was_fenced(await self._workshop.store.apply(change))
            log.warning("run_fenced", job=ref.job, run=ref.number, reason=reason)
        except (StaleToken, StorageFailed):
            return  # it has ended meanwhile; or the daemon ends
        except DaemonError as error:
            log.warning("run_not_fenced", job=ref.job, run=ref.number, error=str(error))  # the next look tries again
        finally:
            self._fencing.discard(ref.job)

    # -- how far they are ------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """So that a crash shows little less progress than there was."""
        now = self._workshop.clock.now()
        for task in self._dispatcher.tasks.values():
            if task.life is not None and task.life.signs.unsaved:
                task.life.signs.unsaved = False
                self._workshop.store.send(save_progress(task.job, task.life.signs.progress, now))

    def log_once(self) -> None:
        """Say what runs: a line for each job, or one for all where they are many. A session is not on its way to
        anything."""
        tasks = (task for task in self._running() if task.job.spec.queue != SESSIONS)
        running = [(task.job, task.life) for task in tasks if task.life is not None]
        if len(running) > MANY:
            log.info("still_running", **_summary(running))
            return
        for job, life in running:
            log.info("still_running", **_line(job, life))


def _line(job: Job, life: Life) -> dict[str, Any]:
    live = life.judge()
    said = {
        "job": job.id,
        "run": job.ref.number,
        "name": name_of(job.spec),
        "elapsed": in_words(life.elapsed()),
        "progress": progress_in_words(live.progress),
        "health": live.health,
        "reason": live.reason,
        "heartbeat_age_s": None if live.heartbeat_age is None else round(live.heartbeat_age, 1),
    }
    return {name: value for name, value in said.items() if value is not None}


def _summary(running: list[tuple[Job, Life]]) -> dict[str, Any]:
    health = Counter(life.judge().health for _, life in running)
    oldest, longest = max(running, key=lambda one: one[1].elapsed())
    return {
        "count": len(running),
        "late": health["late"],
        "stalled": health["stalled"],
        "longest": in_words(longest.elapsed()),
        "longest_job": oldest.id,
    }
