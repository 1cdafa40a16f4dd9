"""On start: what became of every run that was open when the last daemon ended. Never refuses to start for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog
from msgspec import Struct

from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeep.protocol.worker import FinishParameters
from jobkeepd.core.admission import Need, need_of
from jobkeepd.core.ending import (
    Exited,
    Finished,
    Gone,
    NeverSent,
    NotStarted,
    Rebooted,
    RunEnd,
    WorkerDied,
    decide,
    usage_of,
)
from jobkeepd.core.model import Job, Run
from jobkeepd.core.recovery import Evidence, Recovery, decide_recovery
from jobkeepd.errors import DaemonError, StaleToken, StorageFailed
from jobkeepd.runner.base import DeadSlot, Execution, FoundSlot, Seat, Slot, SlotSource
from jobkeepd.runner.environment import worker_run
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.spool import Spool, Spooled
from jobkeepd.store.changes import MarkRunning, Note
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.job_task import end_run
from jobkeepd.supervisor.places import Place
from jobkeepd.supervisor.reports import save_checkpoint
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()


def find_slot(job: Job, found: list[FoundSlot]) -> FoundSlot | None:
    """What was found of a run: by its own records, or its worker's, else its living seat."""
    run = job.run
    assert run is not None
    names = (job.ref.id, worker_run(run.seat))
    own = next((each for each in found if each.run in names), None)
    return own or next((each for each in found if each.name == run.seat and each.slot is not None), None)


class Case(Struct, frozen=True):
    """One open run and what was found of it."""

    job: Job
    run: Run
    slot: FoundSlot | None
    finish: FinishParameters | None
    recovery: Recovery


class Adopter(Protocol):
    """Makes a seat of a slot that an earlier daemon used."""

    def adopt(self, need: Need, slot: Slot, execution: Execution) -> Seat: ...


class Startup(Struct, frozen=True):
    """The tools of recovery. `same_boot`: the last daemon on this state directory ran since the host's last boot."""

    workshop: Workshop
    dispatcher: Dispatcher
    slots: SlotSource
    spool: Spool
    outputs: Outputs
    adopter: Adopter
    same_boot: bool

    async def recover_once(self) -> None:
        """Decide the fate of every open run, log it, act on it; then end what belongs to no run."""
        for (queue, state), count in (await self.workshop.store.counts()).items():
            if count and state in LIVE_STATES:
                self.dispatcher.keep_lane(queue)
        spooled = self.spool.read()
        troubled = await self._take_checkpoints(spooled)
        found = await self.slots.find()
        places: dict[str, Place] = {}  # by slot
        cases = [self._case(job, found, spooled) for job in await self.workshop.store.open_runs()]
        cases.sort(key=lambda case: case.run.claimed_at)
        # Between two runs of a seat its files are emptied: what is in them is its last run's.
        writers = {case.run.seat: case.job.id for case in cases if case.recovery.fate != "requeue"}
        # … but which run a living worker had last, only the worker knows, and will say.
        asked = {case.run.seat for case in cases if case.recovery.fate == "adopt" and case.job.spec.function}
        for case in cases:
            wrote_last = case.run.seat not in asked and writers.get(case.run.seat) == case.job.id
            try:
                await self._recover(case, places, wrote_last)
            except StorageFailed:
                raise
            except DaemonError as error:  # one bad row stops nothing: the others are still handled
                log.error("recovery_failed", job=case.job.id, error=str(error))
                troubled |= {case.job.ref.id, case.run.seat}
        for case in cases:
            if case.run.seat in places and case.recovery.fate != "adopt" and case.job.spec.function:
                places[case.run.seat].seat.departed(case.job.ref)
        for run in spooled.keys() - troubled:
            self.spool.discard(run)
        for slot in found:
            if slot.name not in troubled and slot.name not in places:
                await self._tidy(slot)
        self.outputs.sweep({slot.name for slot in found if slot.slot is not None})

    def _case(self, job: Job, found: list[FoundSlot], spooled: Mapping[str, Spooled]) -> Case:
        assert job.run is not None
        slot = find_slot(job, found)
        finish = spooled.get(job.ref.id, Spooled()).finish
        if finish is not None and finish.fence != job.run.fence:
            finish = None
        return Case(job, job.run, slot, finish, decide_recovery(job, self._evidence(job, slot, finish is not None)))

    async def _recover(self, case: Case, places: dict[str, Place], wrote_last: bool) -> None:
        job, run, slot, recovery = case.job, case.run, case.slot, case.recovery
        log.info("run_recovered", job=job.id, run=run.number, seat=run.seat, fate=recovery.fate, why=recovery.why)
        note = Note(
            kind="recovered",
            at=self.workshop.clock.now(),
            job=job.id,
            run=run.number,
            data={"fate": recovery.fate, "why": recovery.why},
        )
        self.workshop.store.send(note)
        if recovery.fate != "requeue" and run.state == "starting":
            await self.workshop.store.apply(MarkRunning(run=job.ref, at=run.claimed_at))
        job = await self.workshop.store.get(job.id)
        if recovery.fate == "adopt":
            assert slot is not None and slot.execution is not None
            if wrote_last:
                self.outputs.begin(run.seat, job.ref)
            self._adopt(job, slot.slot or DeadSlot(run.seat), slot.execution, places)
        else:
            if wrote_last:
                self.outputs.begin(run.seat, job.ref)
                self.outputs.keep(job.ref)
            await self._record(job, self._end(job, recovery, slot, case.finish))

    def _evidence(self, job: Job, slot: FoundSlot | None, result_spooled: bool) -> Evidence:
        if slot is None:
            return Evidence(self.same_boot, False, False, False, None, result_spooled)
        # a worker's slot has accepted the worker, not the run; whether the run reached it, the worker itself will say
        accepted = slot.run is not None and slot.run in (job.ref.id, worker_run(slot.name))
        return Evidence(
            same_boot=self.same_boot,
            slot_alive=slot.slot is not None,
            accepted=accepted,
            leader_alive=slot.execution is not None and slot.exit is None,
            exit=slot.exit,
            result_spooled=result_spooled,
            refused=slot.failed is not None,
        )

    def _adopt(self, job: Job, slot: Slot, execution: Execution, places: dict[str, Place]) -> None:
        behind = slot.name in places
        if not behind:
            python, cwd = self.workshop.default_python, self.workshop.default_cwd
            need = need_of(job.spec, job.environment, python, cwd)
            seat = self.adopter.adopt(need, slot, execution)
            places[slot.name] = Place(seat, self.workshop.clock.monotonic())
        self.dispatcher.adopt(job, places[slot.name], behind)

    def _end(self, job: Job, recovery: Recovery, slot: FoundSlot | None, finish: FinishParameters | None) -> RunEnd:
        now = self.workshop.clock.now()
        match recovery.fate:
            case "record_result":
                assert finish is not None
                result = finish.result if finish.outcome == "succeeded" else None
                return Finished(finish.outcome, now, result=result, error=finish.error, reason=finish.reason)
            case "record_failure":
                assert slot is not None and slot.failed is not None
                return NotStarted(str(slot.failed), now)
            case "record_exit":
                assert slot is not None and slot.exit is not None
                if job.spec.function:
                    return WorkerDied(slot.exit)
                return Exited(slot.exit, terminated=job.stop is not None)
            case "requeue":
                return NeverSent(now)
            case "rebooted":
                return Rebooted(now)
            case _:
                return Gone(now)

    async def _record(self, job: Job, end: RunEnd) -> None:
        decision = decide(job, end, None, self.workshop.policy())
        await self.workshop.store.apply(end_run(job, decision, usage_of(end)))
        self.slots.forget(job.ref.id)

    async def _take_checkpoints(self, spooled: Mapping[str, Spooled]) -> set[str]:
        """Store what workers left; the runs whose files must stay, since that failed."""
        troubled: set[str] = set()
        for run, left in spooled.items():
            if left.checkpoint is None:
                continue
            try:
                await self.workshop.store.apply(save_checkpoint(left.checkpoint, self.workshop.clock.now()))
            except StaleToken:
                log.info("spooled_checkpoint_stale", run=run)
            except StorageFailed:
                raise
            except DaemonError as error:  # no such job, or no room: never a reason not to start
                log.warning("spooled_checkpoint_refused", run=run, error=str(error))
                troubled.add(run)
        return troubled

    async def _tidy(self, found: FoundSlot) -> None:
        """A slot that no open run needs: whatever still runs in it belongs to a run that is over."""
        if found.execution is not None:
            await found.execution.end()
        if found.slot is not None:
            await found.slot.retire()
        if found.run is not None:
            self.slots.forget(found.run)
