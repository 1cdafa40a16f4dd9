"""A seat for functions: a slot whose leader is a worker, which takes run after run over its own connection."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress

import anyio

from jobkeep.protocol import worker as wire
from jobkeepd.core.admission import Need
from jobkeepd.core.ending import Gone, NeverSent, RunEnd, WorkerDied
from jobkeepd.core.liveness import Look
from jobkeepd.core.model import Exit, Identity, RunRef
from jobkeepd.core.signalled import Signalled, left_behind, survivors
from jobkeepd.errors import StaleToken, StartFailed, WrongProtocol
from jobkeepd.latch import Latch
from jobkeepd.runner import versions
from jobkeepd.runner.base import Execution, Launch, Slot
from jobkeepd.runner.current import Current, begun_of, ended_by_itself, finished
from jobkeepd.runner.environment import worker_run
from jobkeepd.runner.run_order import run_order
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.spawner import record

# A dead worker's last words may still be in its socket when its exit is known: they are read in this time.
LAST_WORDS = 0.2


class WorkerSeat:
    """One worker process. `attach`, `finish` and the like are called as its messages arrive."""

    def __init__(
        self, need: Need, slot: Slot, execution: Execution, surroundings: Surroundings, adopted: bool = False
    ) -> None:
        self._need = need
        self._adopted = adopted
        self._slot = slot
        self._execution = execution
        self._surroundings = surroundings
        self._send: Callable[[wire.Order], None] | None = None
        self._close: Callable[[], None] | None = None
        self._attached = anyio.Event()
        self._dead = anyio.Event()
        self._exit: Exit | None = None
        self._broken = False  # it must not take another run, and is ended when it has none
        self._outdated = False  # it need not be ended, but the next run is for a fresh one
        self._refused: WrongProtocol | None = None
        self._unsettled: dict[str, Latch[None]] = {}
        self._owed: set[str] = set()  # runs whose ends are not durable yet
        self._all_settled = anyio.Event()
        # By run. One, except after a daemon restart: then the next run may have been on its way already.
        self.currents: dict[str, Current] = {}

    @property
    def name(self) -> str:
        return self._slot.name

    @property
    def need(self) -> Need:
        return self._need

    @property
    def usable(self) -> bool:
        return self._listens and not self._outdated and self._slot.takes_runs

    @property
    def _listens(self) -> bool:
        return self._send is not None and not self._broken

    @property
    def dead(self) -> bool:
        return self._dead.is_set()

    # -- the process ---------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Until the worker has ended and nothing of it is left; a run it had then ends with it."""
        self._execution.on_survivors = lambda told: self._surroundings.audit(survivors(told, *self._run_of_now()))
        with suppress(StartFailed):  # it was killed, with its slot, before it was a worker
            self._exit = await self._execution.exited()
        self._broken = True
        self._attached.set()
        with anyio.move_on_after(LAST_WORDS):
            for current in list(self.currents.values()):
                await current.ended.wait()
        await self._execution.drained()
        await self._account_for_the_rest()
        rejoined = [current for current in self.currents.values() if current.rejoined]
        begun = self._begun_of(rejoined, or_else=rejoined)
        self._dead.set()
        now = self._surroundings.clock.now()
        for current in self.currents.values():
            if current.rejoined and current not in begun:
                current.ended.set(NeverSent(now))
            else:
                current.ended.set(WorkerDied(self._exit) if self._exit else Gone(now))
        await self._slot.retire()

    def _begun_of(self, currents: list[Current], or_else: list[Current]) -> list[Current]:
        return begun_of(currents, record.begun(self._surroundings.directories.runtime, worker_run(self.name)), or_else)

    async def _account_for_the_rest(self) -> None:
        """Put on record who of the worker's and its runs' was signalled; where nothing proves them gone, see to it."""
        surroundings, execution = self._surroundings, self._execution
        job, number = self._run_of_now()
        for said in left_behind(execution.left, execution.leader.boot_id, job, number):
            surroundings.audit(said)
        if not execution.proven:
            cookies = {surroundings.worker_cookie(self.name): worker_run(self.name)}
            for cookie, run in (cookies | {each.cookie: each.ref.id for each in self.currents.values()}).items():
                await surroundings.stragglers.end(cookie, surroundings.grace, run, self.name)

    def _run_of_now(self) -> tuple[str | None, int | None]:
        return next(((each.ref.job, each.ref.number) for each in self.currents.values()), (None, None))

    async def settled(self) -> None:
        """Until the ends of all its runs are durable: till then its records are needed."""
        if self._owed:
            await self._all_settled.wait()

    async def ready(self) -> None:
        """Until it has dialled. Raises StartFailed when it ends before, or takes too long."""
        with anyio.move_on_after(self._surroundings.settings.start_timeout):
            await self._attached.wait()
        if self._send is None or self._broken:
            await self.end(self._why_not)
            stage = "killed" if self._was_killed else "worker"
            raise StartFailed(stage, f"worker of {self._need.python} did not start: {self._why_not}")

    @property
    def _was_killed(self) -> bool:
        """Before it could dial; also if nobody is left who saw its end."""
        unfinished = self._broken and self._send is None
        return unfinished and (self._exit is None or self._exit.status == signal.SIGKILL)

    @property
    def _why_not(self) -> str:
        if self._refused is not None:
            return str(self._refused)
        if self._was_killed:
            return "it was killed"
        return "it ended at once" if self._broken else "it did not dial the daemon in time"

    def attach(
        self, hello: wire.AttachParameters, send: Callable[[wire.Order], None], close: Callable[[], None]
    ) -> None:
        """The worker has dialled, for the first time or again. What an older connection held is void.

        Raises StaleToken for a worker whose run was fenced meanwhile, and WrongProtocol; then it goes on alone with the
        run that it has, if it cannot speak another version.
        """
        held = self.currents.get(hello.run or "")
        if held is not None and (held.fenced or held.ref.fence != hello.fence):
            raise StaleToken(held.ref.id)
        if self._close is not None:
            self._close()
        self._refused = versions.refusal(hello.protocol)
        if self._refused is not None:  # it may dial again and speak another one
            raise self._refused
        self._outdated = self._adopted and hello.protocol != versions.WORKERS[-1]
        self._send, self._close = send, close
        send(wire.Order("welcome"))
        self._attached.set()
        others = [current for current in self.currents.values() if current is not held]
        if others:
            self._tell_apart(others, held)
        if held is not None:
            self._pass_on_wish(held)
        if self._broken and not self.currents:  # retired while it was away
            send(wire.Order("retire"))

    def _tell_apart(self, others: list[Current], held: Current | None) -> None:
        """What it has begun has ended, and it says so again until it is heard. What it has not, it never got: that was
        sent over a connection which died."""
        before = [current for current in others if held is not None and current.order <= held.order]
        begun = self._begun_of(others, or_else=before)
        for current in others:
            if current not in begun:
                current.ended.set(NeverSent(self._surroundings.clock.now()))

    def detached(self, send: Callable[[wire.Order], None]) -> None:
        if self._send is send:
            self._send = self._close = None

    async def retire(self) -> None:
        """Let it end, for it is idle; one that does not listen, or should have ended by now, is made to.

        But not while it may be the only one that knows how its run has ended.
        """
        listens, self._broken = self._listens, True
        if listens and self._send is not None:
            self._send(wire.Order("retire"))
        elif not self.dead and not self._unsettled:
            await self.end("it has no run, and does not listen")

    # -- one run -------------------------------------------------------------------------------------------------

    async def run(self, launch: Launch, started: Callable[[Identity | None], None]) -> RunEnd:
        surroundings = self._surroundings
        if self._send is None or not self.usable:
            return NeverSent(surroundings.clock.now())
        try:
            order = run_order(launch, self.name, surroundings)
        except StartFailed:
            self._broken = True
            return NeverSent(surroundings.clock.now())
        current = self._open(launch)
        self._send(wire.Order("run", order))
        started(None)
        return await self._until_ended(current)

    async def rejoin(self, launch: Launch) -> RunEnd:
        return await self._until_ended(self._open(launch, rejoined=True))

    def _open(self, launch: Launch, rejoined: bool = False) -> Current:
        current = self.currents[launch.job.ref.id] = Current(launch, rejoined)
        self._owed.add(current.ref.id)
        return current

    async def _until_ended(self, current: Current) -> RunEnd:
        end = await current.ended.wait()
        if self._broken:
            # It leaves threads or children behind, or is on its way out: nothing of it may outlive the run.
            await self.end("its run has ended, and it must not outlive that", current.ref)
            await self._dead.wait()
        if not self._surroundings.outputs.keep(current.ref):
            self._broken = True
        del self.currents[current.ref.id]
        return end

    def finish(self, report: wire.FinishParameters) -> Latch[None]:
        """Take the worker's word for the end of its run; the latch is set once that is durable."""
        settled = self._unsettled.setdefault(report.run, Latch())
        if not report.clean or report.retire:
            self._broken = True
        if report.silent:
            self._surroundings.outputs.disown(self.currents[report.run].ref)
        self.currents[report.run].ended.set(finished(report, self._surroundings.clock.now()))
        return settled

    def settle(self, run: RunRef) -> None:
        self._owed.discard(run.id)
        if not self._owed:
            self._all_settled.set()
        if (settled := self._unsettled.pop(run.id, None)) is not None:
            settled.set(None)

    async def ask(self, run: RunRef, reason: str) -> None:
        """One that is not connected just now hears of it when it dials again."""
        current = self.currents.get(run.id)
        if current is not None:
            current.asked = reason
            self._pass_on_wish(current)

    def _pass_on_wish(self, current: Current) -> None:
        if current.asked is not None and self._send is not None:
            self._send(wire.Order("stop", reason=current.asked, target=current.ref.id))

    def look(self, run: RunRef) -> Look:
        if run.id not in self.currents:
            return Look()
        return Look(self._surroundings.state_of(self._execution.leader))

    def leader(self, run: RunRef) -> Identity | None:
        return self._execution.leader if run.id in self.currents else None

    def fence(self, run: RunRef) -> bool:
        """When its connection closes it dials again, and is told."""
        current = self.currents.get(run.id)
        if current is None or current.ended.is_set:
            return False
        current.fenced = self._broken = True
        if self._close is not None:
            self._close()
        return True

    async def terminate(self, run: RunRef) -> None:
        if run.id in self.currents:
            self._broken = True
            await self._execution.signal(signal.SIGTERM)

    async def kill(self, run: RunRef) -> None:
        current = self.currents.get(run.id)
        if current is not None:
            self._broken = True
            if self._need.on is not None:
                await ended_by_itself(self._execution, current)
            await self._execution.end()

    async def end(self, reason: str, run: RunRef | None = None) -> None:
        """End the worker, whatever it does; on record, unless it is over."""
        self._broken = True
        if self._exit is None and not self.dead:
            job, number = (None, None) if run is None else (run.job, run.number)
            who, evidence = self._execution.leader, ("record", "slot")
            said = Signalled(who, (9,), reason, evidence, self.name, "tree", job=job, run=number)
            self._surroundings.audit(said)
        await self._execution.end()
