"""Drain: start nothing more, interrupt functions at their next checkpoint, and tell what came of it.

It is not durable on purpose: the next daemon starts what is queued, after a crash as well.
"""

from __future__ import annotations

import anyio
import anyio.abc
import structlog
from msgspec import Struct

from jobkeep.protocol.vocabulary import DrainCommands, RunOutcome
from jobkeepd.core.drain import DrainFate, decide_drain
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.sessions import QUEUE
from jobkeepd.store.changes import Note
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()


class Drained(Struct, frozen=True):
    """One run that was under way when the drain began. `outcome` is None while it runs."""

    job: Job
    run: int
    fate: DrainFate
    outcome: RunOutcome | None


class Report(Struct, frozen=True):
    """`over`: nothing is left that is waited for. Without `since` the drain was called off."""

    since: float | None
    over: bool
    runs: list[Drained]


class Drain:
    """Implements rpc.services.Drains. Calls may overlap, and be repeated: there is one drain at a time."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop, group: anyio.abc.TaskGroup) -> None:
        self.since: float | None = None  # UTC
        self._dispatcher = dispatcher
        self._workshop = workshop
        self._group = group
        self._sent: dict[str, JobTask] = {}  # by job: what was under way
        self._revoked: list[JobTask] = []
        self._called_off = anyio.Event()

    async def drain(self, by: Peer | None, commands: DrainCommands, timeout: float | None) -> Report:
        """Until everything that is waited for has ended, or the time is over."""
        self._begin(by, commands)
        over = await self._ends_within(timeout, commands, self._called_off)
        runs = [self._drained(task, commands) for task in self._sent.values()]
        return Report(self.since, over, runs)

    async def before_the_end(self, timeout: float, hurry: anyio.Event) -> None:
        """The daemon is stopped, and then its commands run on; `hurry` cuts it short."""
        self._begin(None, "leave")
        over = await self._ends_within(timeout, "leave", hurry)
        log.info("drained", over=over)

    def call_off(self, by: Peer | None) -> bool:
        """Start jobs again; whether there was a drain. A function that was asked by then is still interrupted."""
        if self.since is None:
            return False
        self._note("drain_called_off", by)
        self.since = None
        self._sent.clear()
        self._revoked.clear()
        self._called_off.set()
        self._dispatcher.release()
        return True

    def _begin(self, by: Peer | None, commands: DrainCommands) -> None:
        if self.since is None:
            self.since = self._workshop.clock.now()
            self._called_off = anyio.Event()
            self._note("drain_started", by, commands=commands)
        self._revoked += self._dispatcher.hold_all()
        for task in self._dispatcher.tasks.values():
            if not task.is_withdrawn and task is not self._sent.get(task.job.id):
                self._take_in(task, commands)

    def adopted(self, task: JobTask) -> None:
        """A run that an earlier daemon has left is known only now, or followed again."""
        if self.since is not None:
            self._take_in(task, "wait")

    def _take_in(self, task: JobTask, commands: DrainCommands) -> None:
        self._sent[task.job.id] = task
        if self._fate(task, commands) == "interrupt":
            self._group.start_soon(self._interrupt, task, name=f"drain {task.job.id}")

    def _note(self, kind: str, by: Peer | None, **data: str) -> None:
        log.info(kind, **data)
        self._workshop.store.send(Note(kind=kind, at=self._workshop.clock.now(), by=by, data=data))

    def _fate(self, task: JobTask, commands: DrainCommands) -> DrainFate:
        is_function = task.job.spec.function is not None
        if task.job.spec.queue == QUEUE:  # a session has no end of its own that could be waited for
            commands = "leave"
        return decide_drain(
            sent=not task.is_withdrawn, is_function=is_function, stopping=task.is_stopping, commands=commands
        )

    async def _interrupt(self, task: JobTask) -> None:
        await task.left("claiming", "waiting", "starting")
        if task.attempt is not None:
            await task.attempt.interrupt()

    async def _ends_within(self, timeout: float | None, commands: DrainCommands, cut: anyio.Event) -> bool:
        async def watch() -> None:
            await cut.wait()
            waiting.cancel_scope.cancel()

        with anyio.move_on_after(timeout):
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(watch, name="end of drain")
                await self._until_ended(commands)
                waiting.cancel_scope.cancel()
                return not cut.is_set()
        return False

    async def _until_ended(self, commands: DrainCommands) -> None:
        waited_for: set[JobTask] = set()
        # more may have been found meanwhile
        while left := [task for task in (*self._revoked, *self._sent.values()) if task not in waited_for]:
            for task in left:
                if self._fate(task, commands) != "leave":
                    await task.ended()
            waited_for.update(left)

    def _drained(self, task: JobTask, commands: DrainCommands) -> Drained:
        number = 0 if task.job.run is None else task.job.run.number
        return Drained(task.job, number, self._fate(task, commands), task.outcome)
