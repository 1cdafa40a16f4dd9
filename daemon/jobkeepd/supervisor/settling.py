"""Settles what a start has found: adopts what lives, and records the ends of what does not.

What takes longer than a start may (a slot that does not answer, a disk without room) is settled while the daemon
serves. What goes wrong with one run concerns that run alone; its seat is left as it is, for a closer look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import anyio
import anyio.abc
import structlog
from msgspec.structs import replace

from jobkeepd.core.admission import Need, need_of
from jobkeepd.core.ending import decide, overran, usage_of
from jobkeepd.core.signalled import Signalled, left_behind
from jobkeepd.errors import DaemonError, IllegalTransition, StaleToken, StorageFailed, StorageFull
from jobkeepd.runner.base import DeadSlot, Execution, FoundSlot, Seat, Slot, SlotSource
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.spool import Spooled
from jobkeepd.store.changes import MarkRunning, Note
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.evidence import Case, Found, as_running, case_of, end_of
from jobkeepd.supervisor.outcomes import end_run
from jobkeepd.supervisor.places import Place
from jobkeepd.supervisor.words import reported
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
NO_ROOM_PAUSE = 1.0


class Adopter(Protocol):
    """Makes a seat of a slot that an earlier daemon used."""

    def adopt(self, need: Need, slot: Slot, execution: Execution) -> Seat: ...


class Settling:
    """Of one start. Cases come in the order in which their runs were claimed."""

    def __init__(
        self,
        workshop: Workshop,
        dispatcher: Dispatcher,
        slots: SlotSource,
        outputs: Outputs,
        adopter: Adopter,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self._workshop = workshop
        self._store = workshop.store
        self._dispatcher = dispatcher
        self._slots = slots
        self._spool = workshop.spool
        self._outputs = outputs
        self._adopter = adopter
        self._group = group
        self._places: dict[str, Place] = {}  # by seat
        self._unsettled: Counter[str] = Counter()  # by seat: how many of its runs
        self._troubled: set[str] = set()  # seats, and runs
        self._recording = 0
        self._recorded = anyio.Event()

    @property
    def seats(self) -> set[str]:
        """Those that are in use, or may be."""
        return self._places.keys() | self._troubled | {seat for seat, count in self._unsettled.items() if count}

    # -- at once -----------------------------------------------------------------------------------------------------

    def adopt(self, cases: Sequence[Case]) -> None:
        """Take over what lives, and say whose the files of each seat are."""
        # Where that is not on record: between two runs of a seat its files are emptied.
        newest = {case.run.seat: case.job.ref.id for case in cases if case.recovery.fate not in ("requeue", "await")}
        for case in cases:
            wrote_last = (case.owner or newest.get(case.run.seat)) == case.job.ref.id
            try:
                self._begin(case, wrote_last)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are still handled
                self._trouble(case, error)

    def _begin(self, case: Case, wrote_last: bool) -> None:
        job, run, recovery = case.job, case.run, case.recovery
        log.info("run_recovered", job=job.id, run=run.number, seat=run.seat, fate=recovery.fate, why=recovery.why)
        data = {"fate": recovery.fate, "why": recovery.why}
        self._store.send(Note(kind="recovered", at=self._now(), job=job.id, run=run.number, data=data))
        if recovery.fate in ("requeue", "await"):
            return
        if run.state == "starting":
            self._store.send(MarkRunning(run=job.ref, at=run.claimed_at, now=self._workshop.moment()))
        if wrote_last:
            self._outputs.rejoin(run.seat, job.ref)
        if recovery.fate == "adopt":
            self._take(case)
        else:
            self._outputs.keep(job.ref)

    def _take(self, case: Case) -> None:
        slot, workshop = case.slot, self._workshop
        assert slot is not None and slot.execution is not None
        job, seat = as_running(case.job), case.run.seat
        behind = seat in self._places
        if not behind:
            need = need_of(job.id, job.spec, job.environment, workshop.default_python, workshop.default_cwd)
            adopted = self._adopter.adopt(need, slot.slot or DeadSlot(seat), slot.execution)
            self._places[seat] = Place(adopted, workshop.clock.monotonic())
        self._dispatcher.adopt(job, self._places[seat], behind)

    def _trouble(self, case: Case, error: Exception) -> None:
        log.error("recovery_failed", job=case.job.id, run=case.run.number, error=str(error), exc_info=error)
        self._troubled |= {case.run.seat, case.job.ref.id}

    # -- by and by ---------------------------------------------------------------------------------------------------

    async def record(self, cases: Sequence[Case], found: Found, spooled: Mapping[str, Spooled]) -> None:
        """Until every end is durable. What is not when the caller has no more time goes on all the same."""
        for case in cases:
            left = spooled.get(case.job.ref.id)
            if case.job.ref.id in self._troubled:
                continue
            if case.recovery.fate == "await":
                self._start(case, partial(self._await_answer, case))
            elif case.recovery.fate != "adopt" or left is not None:
                self._recording += 1
                self._start(case, partial(self._settle, case, left, found.at(case.run.seat)))
        while self._recording:
            await self._recorded.wait()

    def _start(self, case: Case, work: Callable[[], Awaitable[None]]) -> None:
        self._unsettled[case.run.seat] += 1
        self._dispatcher.unsettled.add(case.job.id)
        self._group.start_soon(self._own, case, work, name=f"recovery of {case.job.id}")

    async def _own(self, case: Case, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            self._dispatcher.unsettled.discard(case.job.id)
            self._dispatcher.leaving.let_go(case.job.id)
        except StorageFailed:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._trouble(case, error)

    async def _settle(self, case: Case, left: Spooled | None, found: Sequence[FoundSlot]) -> None:
        try:
            taken = left is None or await self._take_reports(case.job.ref.id, left)
            if case.recovery.fate != "adopt":
                await self._until_gone(case)
                await self._end(case)
                if taken:
                    self._spool.discard(case.job.ref.id)
            await self._leave(case, found)
        finally:
            self._recording -= 1
            if not self._recording:
                self._recorded.set()

    async def _take_reports(self, run: str, left: Spooled) -> bool:
        """Whether what the worker left is in the store, or void. Without room for it the run stays as it is."""
        changes = reported(left, self._now())
        while changes:
            try:
                await self._store.apply(changes[0])
                del changes[0]
            except StorageFull:
                await anyio.sleep(NO_ROOM_PAUSE)
            except StaleToken:
                log.info("spooled_reports_stale", run=run)
                return True
            except StorageFailed:
                raise
            except DaemonError as error:
                log.warning("spooled_reports_refused", run=run, error=str(error))
                return False
        return True

    async def _until_gone(self, case: Case) -> None:
        """Until nothing of the run is left. Children of a leader that has ended have their grace, as always."""
        if case.recovery.fate not in ("lost", "record_exit", "record_result"):
            return
        slot, unclean = case.slot, case.finish is not None and not case.finish.clean
        unproven = slot is None or not slot.proven
        if slot is not None and slot.execution is not None and (slot.exit is not None or unclean):
            if unclean:
                await self._end_execution(slot.execution, "its run has ended, and it must not outlive that", case)
            await slot.execution.drained()
            unproven = not slot.execution.proven
            self._put_on_record(slot.execution.left, slot.execution.leader.boot_id, case)
        elif slot is not None:
            self._put_on_record(slot.left, self._workshop.boot_id, case)
        if unproven:
            grace = self._workshop.grace(case.job.spec.grace_s)
            await self._workshop.stragglers.end(case.run.cookie, grace, case.job.ref.id, self._group_of(case))

    def _group_of(self, case: Case) -> str | None:
        """The slot whose control group may have something of the run, unless it is another run's by now."""
        return case.run.seat if case.slot is None or case.slot.slot is None else None

    def _put_on_record(self, left: Mapping[str, Any], boot_id: str, case: Case) -> None:
        for said in left_behind(left, boot_id, case.job.id, case.run.number):
            self._workshop.audit(said)

    async def _end_execution(self, execution: Execution, why: str, case: Case | None = None) -> None:
        job, run = (None, None) if case is None else (case.job.id, case.run.number)
        who, evidence = execution.leader, ("record", "slot")
        self._workshop.audit(Signalled(who, (9,), why, evidence, scope="tree", job=job, run=run))
        await execution.end()

    async def _end(self, case: Case) -> None:
        """Record how the run has ended; a wish that somebody utters meanwhile is heeded."""
        if case.job.spec.credentials:
            self._workshop.credentials.remove(case.job.id)
        while True:
            job = await self._store.get(case.job.id)
            if case.recovery.fate != "requeue":
                job = as_running(job)  # that is on its way to the store, or there
            end = end_of(replace(case, job=job), self._now())
            decision = decide(job, end, overran(job, end), self._workshop.policy())
            try:
                await self._store.apply(end_run(case.job, decision, usage_of(end)))
            except IllegalTransition:
                continue
            except StaleToken:
                log.warning("stale_end", job=job.id, run=case.run.number)
            break
        self._slots.forget(case.job.ref.id)
        self._dispatcher.returned(await self._store.get(case.job.id))

    async def _await_answer(self, case: Case) -> None:
        """Its slot is silent: until it speaks, or is dead, nobody knows whether the run has begun."""
        assert case.slot is not None
        found = await self._slots.look_again(case.slot, case.job.ref.id)
        job = await self._store.get(case.job.id)
        known = case_of(job, Found([found]), None, case.owner, same_boot=True)
        if known.recovery.fate == "adopt":  # what was adopted in this seat before is over, or it would be in its slot
            self._places.pop(known.run.seat, None)
        self._begin(known, wrote_last=case.owner in (None, job.ref.id))
        if known.recovery.fate != "adopt":
            await self._until_gone(known)
            await self._end(known)
        await self._leave(known, [found])

    async def _leave(self, case: Case, found: Sequence[FoundSlot]) -> None:
        """The case is settled. The last one of a seat that nobody uses lets go of it."""
        seat = case.run.seat
        self._unsettled[seat] -= 1
        if seat not in self.seats:
            for slot in found:
                await self.tidy(slot)

    async def tidy(self, found: FoundSlot) -> None:
        """A slot that no open run needs: whatever still runs in it belongs to a run that is over."""
        if found.execution is not None:
            await self._end_execution(found.execution, "it is left of a run that is over")
        if found.slot is not None:
            await found.slot.retire()
        if found.run is not None:
            self._slots.forget(found.run)

    def _now(self) -> float:
        return self._workshop.clock.now()
