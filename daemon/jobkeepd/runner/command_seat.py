"""A seat for commands: one slot, whose leader is the command itself."""

from __future__ import annotations

import signal
from collections.abc import Callable

from jobkeepd.core.admission import COMMAND, Need
from jobkeepd.core.ending import Exited, Gone, NeverSent, NotStarted, RunEnd
from jobkeepd.core.limits import limits_of
from jobkeepd.core.liveness import Look
from jobkeepd.core.model import Identity, RunRef
from jobkeepd.core.signalled import left_behind, survivors
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import Execution, Launch, LeaderOrder, Slot
from jobkeepd.runner.environment import run_variables, trace_variables
from jobkeepd.runner.surroundings import Surroundings


class CommandSeat:
    """Runs one command after the other in its slot."""

    def __init__(self, slot: Slot, surroundings: Surroundings) -> None:
        self._slot = slot
        self._directories = surroundings.directories
        self._outputs = surroundings.outputs
        self._clock = surroundings.clock
        self._forget = surroundings.forget
        self._state_of = surroundings.state_of
        self._surroundings = surroundings
        self._stragglers = surroundings.stragglers
        self._audit = surroundings.audit
        self._execution: Execution | None = None
        self._terminated = self._killed = False
        self._spent = False  # its files could not be emptied
        self._occupant: str | None = None  # the run that is here

    @property
    def name(self) -> str:
        return self._slot.name

    @property
    def need(self) -> Need:
        return COMMAND

    @property
    def usable(self) -> bool:
        return self._slot.takes_runs and not self._slot.lasts and not self._spent

    async def run(self, launch: Launch, started: Callable[[Identity | None], None]) -> RunEnd:
        self._terminated = self._killed = False
        self._occupant = launch.job.ref.id
        try:
            self._execution = await self._slot.start(self._order(launch))
        except StartFailed as failed:
            self._leave(launch.job.ref)
            if failed.stage == "slot":
                self._spent = True
                return NeverSent(self._clock.now())
            return NotStarted(str(failed), self._clock.now())
        started(self._execution.leader)
        if self._killed:  # meanwhile
            await self._execution.end()
        elif self._terminated:
            await self._execution.signal(signal.SIGTERM)
        return await self._until_drained(self._execution, launch)

    async def rejoin(self, launch: Launch) -> RunEnd:
        assert self._execution is not None
        self._occupant = launch.job.ref.id
        return await self._until_drained(self._execution, launch)

    def _leave(self, run: RunRef) -> None:
        """The run is not here any more."""
        self._execution = self._occupant = None
        if not self._outputs.keep(run):
            self._spent = True

    def adopt(self, execution: Execution) -> None:
        """Take over a leader that an earlier daemon started in this slot."""
        self._execution = execution

    async def retire(self) -> None:
        """Let the slot end; it is idle."""
        self._spent = True
        await self._slot.retire()
        self._outputs.drop_seat(self.name)

    async def _until_drained(self, execution: Execution, launch: Launch) -> RunEnd:
        job = launch.job
        execution.on_survivors = lambda told: self._audit(survivors(told, job.id, job.ref.number))
        try:
            exit = await execution.exited()
        except StartFailed as failed:
            self._leave(job.ref)
            return NotStarted(str(failed), self._clock.now())
        await execution.drained()
        for said in left_behind(execution.left, execution.leader.boot_id, job.id, job.ref.number):
            self._audit(said)
        if not execution.proven and job.run is not None:
            await self._stragglers.end(job.run.cookie, self._grace_of(launch), job.ref.id, self.name)
        if execution.silent:
            self._outputs.disown(job.ref)
        self._leave(job.ref)
        if exit is None:
            return Gone(self._clock.now())
        return Exited(exit, terminated=self._terminated)

    def _order(self, launch: Launch) -> LeaderOrder:
        job = launch.job
        run = job.run
        assert run is not None and job.spec.command is not None
        stdout, stderr = self._outputs.begin(self.name, job.ref)
        own = run_variables(self._directories, job.id, run.number, run.cookie, run.lock_token)
        return LeaderOrder(
            run=job.ref.id,
            argv=tuple(job.spec.command),
            env={**trace_variables(job.spec), **job.spec.env, **own},
            base=launch.environment,
            cwd=job.spec.cwd or self._directories.state,
            umask=job.spec.umask,
            stdout=stdout,
            stderr=stderr,
            grace=self._grace_of(launch),
            limits=limits_of(job.spec),
        )

    def _grace_of(self, launch: Launch) -> float:
        wanted = launch.job.spec.grace_s
        return self._surroundings.grace if wanted is None else wanted

    def settle(self, run: RunRef) -> None:
        self._forget(run.id)

    async def ask(self, run: RunRef, reason: str) -> None:
        await self.terminate(run)  # a command has no other way to hear of it

    def look(self, run: RunRef) -> Look:
        if run.id != self._occupant or self._execution is None:
            return Look()
        return Look(self._state_of(self._execution.leader), self._outputs.size(run))

    def leader(self, run: RunRef) -> Identity | None:
        return None if run.id != self._occupant or self._execution is None else self._execution.leader

    def fence(self, run: RunRef) -> bool:
        return False

    async def terminate(self, run: RunRef) -> None:
        if run.id != self._occupant:
            return
        self._terminated = True
        if self._execution is not None:
            await self._execution.signal(signal.SIGTERM)

    async def kill(self, run: RunRef) -> None:
        if run.id != self._occupant:
            return
        self._terminated = self._killed = True
        if self._execution is not None:
            await self._execution.end()
