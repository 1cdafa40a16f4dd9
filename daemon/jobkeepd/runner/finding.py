"""Finds slots and runs again after a restart, within one deadline, however many of them do not answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from jobkeepd.core.model import Exit, Identity
from jobkeepd.core.signalled import Signalled
from jobkeepd.errors import StartFailed
from jobkeepd.runner import identity
from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.execution import (
    ShimExecution,
    exit_on_record,
    failure_on_record,
    leader_on_record,
    left_on_record,
)
from jobkeepd.runner.slot import ShimSlot
from jobkeepd.runner.spawner_link import SpawnerLink
from jobkeepd.spawner import record

log = structlog.get_logger()
ANSWER_WITHIN = 1.0  # seconds for the hello of every slot
FIND_WITHIN = 1.5  # and for all of it
NUDGE_AFTER = 0.1


class Finder:
    """Of one runtime directory. What is found is followed in `tasks`."""

    def __init__(
        self, runtime: str, spawner: SpawnerLink, tasks: TaskGroup, audit: Callable[[Signalled], None]
    ) -> None:
        self._audit = audit
        self._runtime = runtime
        self._spawner = spawner
        self._tasks = tasks

    async def find(self) -> list[FoundSlot]:
        """One entry per slot that lives, and one per other run that left records, those of a slot that lives too."""
        deadline = anyio.current_time() + FIND_WITHIN
        names = {name.rpartition(".")[0] for name in os.listdir(f"{self._runtime}/slots")}
        slots = [ShimSlot(self._runtime, name, self._spawner) for name in names]
        await self._dial(slots)
        silent = {slot.name: slot for slot in slots if not slot.hello}
        runs = self._undrained(silent)
        found = [self._answered(slot) for slot in slots if slot.hello]
        for name, slot in silent.items():
            if record.lock_holder(record.slot_lock(self._runtime, name)) is None:
                record.remove_slot(self._runtime, name)
            else:
                found.append(self._unanswered(slot, runs.get(name)))
        listed, living = {each.run for each in found}, {each.name for each in found}
        async with anyio.create_task_group() as reading:
            for run in self._recorded() - listed:
                reading.start_soon(self._find_left, run, living, deadline, found)
        return found

    async def look_again(self, found: FoundSlot, run: str) -> FoundSlot:
        """Wait until a silent slot has answered or is dead, and see what became of `run` then."""
        slot = found.slot
        assert isinstance(slot, ShimSlot)
        if await slot.answered():
            return self._describe(slot)
        left: list[FoundSlot] = []
        if run in self._recorded():
            await self._find_left(run, set(), anyio.current_time() + FIND_WITHIN, left)
        return left[0] if left else FoundSlot(name=found.name, slot=None, run=None, execution=None, exit=None)

    # -- slots ------------------------------------------------------------------------------------------------------

    async def _dial(self, slots: list[ShimSlot]) -> None:
        with anyio.move_on_after(ANSWER_WITHIN):
            async with anyio.create_task_group() as nudging:
                nudging.start_soon(self._nudge, slots)
                async with anyio.create_task_group() as dialling:
                    for slot in slots:
                        dialling.start_soon(_try, slot)
                nudging.cancel_scope.cancel()

    async def _nudge(self, slots: list[ShimSlot]) -> None:
        await anyio.sleep(NUDGE_AFTER)
        for slot in slots:
            if not slot.hello:
                identity.wake(record.slot_lock(self._runtime, slot.name), self._audit)

    def _answered(self, slot: ShimSlot) -> FoundSlot:
        self._tasks.start_soon(slot.follow, name=f"slot {slot.name}")
        return self._describe(slot)

    def _describe(self, slot: ShimSlot) -> FoundSlot:
        run = slot.hello["run"]
        execution = slot.execution if slot.execution is not None and slot.execution.run == run else None
        exit, failed = self._end_of(run) if run else (None, None)
        begun = record.begun(self._runtime, run) if run else None
        left = left_on_record(self._runtime, run) if run else {}
        return FoundSlot(slot.name, slot, run, execution, exit, failed, begun=begun, left=left)

    def _unanswered(self, slot: ShimSlot, run: str | None) -> FoundSlot:
        """It lives and says nothing: frozen, or the host is overloaded. What it runs is taken over by its record.

        It is not put down: its run is safe with it, and an order that it may hold is no worse than one under way.
        """
        log.warning("slot_silent", slot=slot.name, run=run)
        execution, exit = None, None
        if run is not None:
            execution = slot.take_over(run, Identity(*self._begun(run)["leader"]))
            exit, _ = self._end_of(run)
        if execution is not None and exit is not None:
            execution.note_exit(exit)
        self._tasks.start_soon(slot.follow, name=f"slot {slot.name}")
        begun = record.begun(self._runtime, run) if run else None
        return FoundSlot(slot.name, slot, run, execution, exit, silent=True, begun=begun)

    # -- records ----------------------------------------------------------------------------------------------------

    def _recorded(self) -> set[str]:
        names = os.listdir(f"{self._runtime}/runs")
        return {run for run, _, kind in (name.rpartition(".") for name in names) if kind == record.RUN}

    def _end_of(self, run: str) -> tuple[Exit | None, StartFailed | None]:
        try:
            return exit_on_record(self._runtime, run), failure_on_record(self._runtime, run)
        except (KeyError, TypeError, ValueError) as error:  # nobody can tell from this how it ended
            log.error("run_record_unreadable", run=run, error=repr(error))
            return None, None

    def _undrained(self, slots: Iterable[str]) -> dict[str, str]:
        """Slot -> the run that it has begun and that is not over: one at most, since it takes one at a time."""
        wanted = set(slots)
        if not wanted:
            return {}
        found: dict[str, str] = {}
        for run in sorted(self._recorded(), key=self._begun_at):
            begun = self._begun(run)
            is_whole = begun.get("slot") in wanted and len(begun.get("leader", ())) == 4
            if is_whole and not record.is_drained(self._runtime, run):
                found[begun["slot"]] = run
        return found

    def _begun(self, run: str) -> dict[str, Any]:
        return record.read(self._runtime, run, record.LEADER) or {}

    def _begun_at(self, run: str) -> int:
        try:
            return os.stat(record.run_path(self._runtime, run)).st_mtime_ns
        except FileNotFoundError:
            return 0

    async def _find_left(self, run: str, living: set[str], deadline: float, found: list[FoundSlot]) -> None:
        """A run of which there are records alone. Its slot is dead, or has taken another run since."""
        try:
            found.append(await self._left(run, living, deadline))
        except (KeyError, TypeError, ValueError) as error:
            log.error("run_record_unreadable", run=run, error=repr(error))
            found.append(FoundSlot(name="", slot=None, run=run, execution=None, exit=None))

    async def _left(self, run: str, living: set[str], deadline: float) -> FoundSlot:
        begun = self._begun(run)
        name = str((begun or record.read(self._runtime, run, record.EXIT) or {}).get("slot", ""))
        leader = leader_on_record(self._runtime, run)
        execution: ShimExecution | None = None
        if leader is not None and name not in living and not record.is_drained(self._runtime, run):
            slot = ShimSlot(self._runtime, name, self._spawner)
            execution = ShimExecution(run, leader, slot.deliver)
            self._tasks.start_soon(slot.outlive, execution, name=f"run {run}")
            if identity.has_ended(leader):
                with anyio.CancelScope(deadline=deadline):
                    await execution.drained()
        exit, failed = self._end_of(run)
        proven = True
        if execution is not None and execution.has_drained:
            exit = exit if failed else exit or await execution.exited()
            proven = execution.proven
            execution = None
        begun_runs = record.begun(self._runtime, run)
        left = left_on_record(self._runtime, run)
        return FoundSlot(name, None, run, execution, exit, failed, begun=begun_runs, proven=proven, left=left)


async def _try(slot: ShimSlot) -> None:
    with contextlib.suppress(OSError):  # dead, or silent
        await slot.connect()
