"""On start: what became of every run that was open when the last daemon ended. Never refuses to start for one."""

from __future__ import annotations

from collections import Counter

import anyio
import anyio.abc
import structlog
from msgspec import Struct

from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeepd.runner.base import SlotSource
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.spool import Spooled
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.evidence import Case, Found, case_of
from jobkeepd.supervisor.settling import Adopter, Settling
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
RECORD_WITHIN = 2.0  # seconds that a start waits for the store; the rest is recorded while the daemon serves


class Startup(Struct, frozen=True):
    """The tools of recovery. `same_boot`: the last daemon on this state directory ran since the host's last boot.

    All is looked at first, then all is decided and what lives is adopted, then the ends are recorded: together, so
    that it takes few commits, and none has to wait for another.
    """

    workshop: Workshop
    dispatcher: Dispatcher
    slots: SlotSource
    outputs: Outputs
    adopter: Adopter
    group: anyio.abc.TaskGroup
    same_boot: bool

    async def recover_once(self) -> None:
        """Decide the fate of every open run, log it, act on it; then end what belongs to no run."""
        for (queue, state), count in (await self.workshop.store.counts()).items():
            if count and state in LIVE_STATES:
                self.dispatcher.keep_lane(queue)
        began = anyio.current_time()
        found = Found(await self.slots.find())
        spooled = self.workshop.spool.read()  # after: whoever was found dead has left no more than this
        seats = await self.workshop.store.open_seats()
        needed = {*seats, *seats.values()}
        cases: list[Case] = []
        for job in await self.workshop.store.open_runs():
            finish = spooled.get(job.ref.id, Spooled()).finish
            owner = self.outputs.owner(job.run.seat) if job.run is not None else None
            cases.append(case_of(job, found, finish, owner, same_boot=self.same_boot))
        self.workshop.credentials.sweep({case.job.id for case in cases})
        cases.sort(key=lambda case: case.order)
        settling = Settling(self.workshop, self.dispatcher, self.slots, self.outputs, self.adopter, self.group)
        settling.adopt(cases)
        with anyio.move_on_after(RECORD_WITHIN):
            await settling.record(cases, found, spooled)
        for run in spooled.keys() - needed:
            self.workshop.spool.discard(run)
        self.workshop.spool.sweep()
        for slot in found.all:
            if slot.name not in needed and slot.run not in needed:
                self.group.start_soon(settling.tidy, slot, name=f"tidy {slot.name}")
        # Also a seat whose slot is dead has a run that writes, if that goes on under the spawner.
        self.outputs.sweep(needed | {slot.name for slot in found.all if slot.slot is not None})
        fates = Counter(str(case.recovery.fate) for case in cases)
        log.info("runs_recovered", runs=len(cases), seconds=round(anyio.current_time() - began, 3), **fates)
