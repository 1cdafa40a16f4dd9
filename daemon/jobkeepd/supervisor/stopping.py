"""Wishes to end runs: on record first, then carried out."""

from __future__ import annotations

import anyio.abc

from jobkeepd.core.model import Job, Peer
from jobkeepd.store.changes import RequestStop
from jobkeepd.supervisor.attempt import Stop
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.workshop import Workshop


class Stopping:
    """Cancels and restarts, whoever wants it."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop, group: anyio.abc.TaskGroup) -> None:
        self._dispatcher = dispatcher
        self._workshop = workshop
        self._group = group

    async def stop(self, id: str, stop: str, by: Peer | None, force: bool, reason: str | None) -> Job:
        """By its whole id; returns once the wish is durable. `stop` is what RequestStop has. Raises as that does."""
        task = self._dispatcher.tasks.get(id)
        if task is not None and task.withdraw():
            await task.ended()
        at = self._workshop.clock.now()
        change = RequestStop(job=id, stop=stop, by=by, at=at, force=force, reason=reason)
        job = await self._workshop.store.apply(change)
        if task is not None:
            self._start(task, stop_of(stop, by, reason), force)
        return job

    def promised(self, task: JobTask) -> None:
        """Carry out what an earlier daemon has put on record."""
        if task.job.stop is not None:
            self._start(task, stop_of(task.job.stop, None, "as an earlier daemon was told"), False)

    async def replace(self, id: str) -> None:
        """A newer request has asked for the end of this job's run."""
        task = self._dispatcher.tasks.get(id)
        if task is not None:
            task.withdraw()
            await self._carry_out(task, stop_of("cancelled", None, "a newer request takes its place"), False)

    def _start(self, task: JobTask, stop: Stop, force: bool) -> None:
        self._group.start_soon(self._carry_out, task, stop, force, name=f"stop {task.job.id}")

    async def _carry_out(self, task: JobTask, stop: Stop, force: bool) -> None:
        """End the run of a job for which a stop is on record."""
        await task.left("claiming", "waiting")
        if task.attempt is not None:
            await task.attempt.stop(stop, force)


def stop_of(stop: str, by: Peer | None, reason: str | None) -> Stop:
    """`stop` as the store has it."""
    word = "cancelled" if stop == "cancelled" else "restart"
    sentence = "the job was cancelled" if word == "cancelled" else "the job was restarted"
    return Stop(word, sentence if reason is None else f"{sentence}: {reason}", by)
