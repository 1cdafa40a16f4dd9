"""A seat for functions: a slot whose leader is a worker, which takes run after run over its own connection."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio
from msgspec import Raw, json

from jobkeep.protocol import worker as wire
from jobkeep.protocol.jobs import Progress
from jobkeep.protocol.vocabulary import PROTOCOL_VERSION
from jobkeepd.core.admission import Need
from jobkeepd.core.ending import Finished, Gone, NeverSent, RunEnd, WorkerDied
from jobkeepd.core.model import Exit, Identity, Job, RunRef
from jobkeepd.errors import StartFailed
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Execution, Launch, Signs, Slot
from jobkeepd.runner.surroundings import Surroundings

# A dead worker's last words may still be in its socket when its exit is known: they are read in this time.
LAST_WORDS = 0.2


class Current:
    """The run a worker has, from its order to its end."""

    def __init__(self, job: Job, signs: Signs) -> None:
        self.job = job
        self.ref = job.ref
        self.claimed_at = job.run.claimed_at if job.run else 0.0
        self.signs = signs
        self.ended: Latch[RunEnd] = Latch()
        self.asked: str | None = None  # to stop, and why


class WorkerSeat:
    """One worker process. `attach`, `finish` and the like are called as its messages arrive."""

    def __init__(self, need: Need, slot: Slot, execution: Execution, surroundings: Surroundings) -> None:
        self._need = need
        self._slot = slot
        self._execution = execution
        self._surroundings = surroundings
        self._send: Callable[[wire.Order], None] | None = None
        self._close: Callable[[], None] | None = None
        self._attached = anyio.Event()
        self._dead = anyio.Event()
        self._exit: Exit | None = None
        self._broken = False  # it must not take another run
        self._unsettled: dict[str, Latch[None]] = {}
        # By run. One, except after a daemon restart: then the next run may have been on its way already.
        self.currents: dict[str, Current] = {}
        self._departed: list[RunRef] = []  # oldest first

    @property
    def name(self) -> str:
        return self._slot.name

    @property
    def need(self) -> Need:
        return self._need

    @property
    def usable(self) -> bool:
        return not self._broken and self._send is not None and self._slot.alive

    @property
    def dead(self) -> bool:
        return self._dead.is_set()

    # -- the process ---------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Until the worker has ended and nothing of it is left; a run it had then ends with it."""
        self._exit = await self._execution.exited()
        self._broken = True
        self._attached.set()
        with anyio.move_on_after(LAST_WORDS):
            for current in list(self.currents.values()):
                await current.ended.wait()
        await self._execution.drained()
        if self._close is None and self.currents:
            # It died before it dialled again: the newest run was the last to write.
            newest = max(self.currents.values(), key=lambda current: current.claimed_at)
            self._surroundings.outputs.begin(self.name, newest.ref)
        self._dead.set()
        for current in self.currents.values():
            now = self._surroundings.clock.now()
            current.ended.set(WorkerDied(self._exit) if self._exit else Gone(now))
        await self._slot.retire()

    async def ready(self) -> None:
        """Until it has dialled. Raises StartFailed when it ends before, or takes too long."""
        with anyio.move_on_after(self._surroundings.settings.start_timeout):
            await self._attached.wait()
        if self._send is None or self._broken:
            await self._execution.end()
            raise StartFailed("worker", f"worker of {self._need.python} did not start: {self._why_not}")

    @property
    def _why_not(self) -> str:
        if self._send is not None:
            return "its jobkeep speaks another protocol than this daemon's; install the same version there"
        return "it ended at once" if self._broken else "it did not dial the daemon in time"

    def attach(
        self, hello: wire.AttachParameters, send: Callable[[wire.Order], None], close: Callable[[], None]
    ) -> None:
        """The worker has dialled, for the first time or again. What an older connection held is void."""
        if self._close is not None:
            self._close()
        if hello.protocol != PROTOCOL_VERSION:
            self._broken = True
        self._send, self._close = send, close
        self._attached.set()
        held = self.currents.get(hello.run or "")
        for current in list(self.currents.values()):
            # What came after the run it holds was sent over a connection that died: the worker never got it. What came
            # before has ended, and the worker says so again until it is heard.
            if held is None or current.claimed_at > held.claimed_at:
                current.ended.set(NeverSent(self._surroundings.clock.now()))
            elif current is not held:
                self._surroundings.outputs.disown(current.ref)
        # Who wrote last: the run that it holds; else the last one that ended here unseen.
        outputs, departed = self._surroundings.outputs, self._departed
        self._departed = []
        if held is not None:
            outputs.begin(self.name, held.ref)
            self._pass_on_wish(held)
        elif departed:
            outputs.begin(self.name, departed[-1])
            outputs.keep(departed[-1])

    def departed(self, run: RunRef) -> None:
        self._departed.append(run)

    def detached(self, send: Callable[[wire.Order], None]) -> None:
        if self._send is send:
            self._send = self._close = None

    async def retire(self) -> None:
        """Let it end, for it is idle; one that does not listen, or should have ended by now, is made to."""
        listens, self._broken = self.usable, True
        if listens and self._send is not None:
            self._send(wire.Order("retire"))
        elif not self.dead:
            await self.end()

    # -- one run -------------------------------------------------------------------------------------------------

    async def run(self, launch: Launch, started: Callable[[Identity | None], None]) -> RunEnd:
        surroundings = self._surroundings
        if self._send is None or not self.usable:
            return NeverSent(surroundings.clock.now())
        order = run_order(launch, self.name, surroundings)
        current = self._open(launch)
        self._send(wire.Order("run", order))
        started(None)
        return await self._until_ended(current)

    async def rejoin(self, launch: Launch) -> RunEnd:
        return await self._until_ended(self._open(launch))

    def _open(self, launch: Launch) -> Current:
        current = self.currents[launch.job.ref.id] = Current(launch.job, launch.signs)
        return current

    async def _until_ended(self, current: Current) -> RunEnd:
        end = await current.ended.wait()
        if self._broken:
            # It leaves threads or children behind, or is on its way out: nothing of it may outlive the run.
            await self._execution.end()
            await self._dead.wait()
        if not self._surroundings.outputs.keep(current.ref):
            self._broken = True
        del self.currents[current.ref.id]
        return end

    def finish(self, report: wire.FinishParameters) -> Latch[None]:
        """Take the worker's word for the end of its run; the latch is set once that is durable."""
        settled = self._unsettled.get(report.run)
        if settled is None:
            settled = self._unsettled[report.run] = Latch()
        if not report.clean or report.retire:
            self._broken = True
        if report.silent:
            self._surroundings.outputs.disown(self.currents[report.run].ref)
        self.currents[report.run].ended.set(
            Finished(
                report.outcome,
                self._surroundings.clock.now(),
                result=report.result if report.outcome == "succeeded" else None,
                error=report.error,
                reason=report.reason,
            )
        )
        return settled

    def settle(self, run: RunRef) -> None:
        settled = self._unsettled.pop(run.id, None)
        if settled is not None:
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

    async def terminate(self, run: RunRef) -> None:
        if run.id in self.currents:
            self._broken = True
            await self._execution.signal(signal.SIGTERM)

    async def kill(self, run: RunRef) -> None:
        if run.id in self.currents:
            await self.end()

    async def end(self) -> None:
        """End the worker, whatever it does."""
        self._broken = True
        await self._execution.end()


def run_order(launch: Launch, seat: str, surroundings: Surroundings) -> wire.RunOrder:
    job = launch.job
    run = job.run
    assert run is not None and job.spec.function is not None
    stdout, stderr = surroundings.outputs.begin(seat, job.ref)
    progress: Progress = job.progress
    return wire.RunOrder(
        run=job.ref.id,
        fence=run.fence,
        function=job.spec.function,
        arguments=Raw(json.encode(job.spec.arguments)),
        job=job.id,
        name=job.spec.name or job.spec.function,
        number=run.number,
        cookie=run.cookie,
        stdout=stdout,
        stderr=stderr,
        cursor=launch.checkpoint.cursor,
        state=launch.checkpoint.state,
        checkpoint_seq=launch.checkpoint.seq,
        tallies=progress.tallies,
        done=progress.done,
        total=progress.total,
        failed_items=progress.failed_items,
        only_failed=job.only_failed,
        checkpoint_every=surroundings.checkpoint_every,
    )
