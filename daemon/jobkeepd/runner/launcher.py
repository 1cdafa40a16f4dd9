"""Makes slots, finds them again after a restart, and keeps a spawner to make them with."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import TracebackType

import anyio
from anyio.abc import TaskGroup

from jobkeepd.errors import RunnerError, StartFailed
from jobkeepd.runner import identity
from jobkeepd.runner.base import FoundSlot, Slot
from jobkeepd.runner.execution import (
    ShimExecution,
    exit_on_record,
    failure_on_record,
    leader_on_record,
)
from jobkeepd.runner.slot import ShimSlot
from jobkeepd.runner.spawner_link import SpawnerGone, SpawnerLink
from jobkeepd.spawner import record

_FIND_WITHIN = 2.0
_EXIT_WITHIN = 1.0  # for the record of a run whose slot is dead
_NAME_BYTES = 4


class Launcher:
    """Implements SlotSource. Enter it before SQLite is opened: it may start the spawner."""

    def __init__(self, runtime_dir: Path, python: str = sys.executable) -> None:
        self._runtime = str(runtime_dir)
        self._spawner = SpawnerLink(self._runtime, python)
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Launcher:
        self._check_length()
        for folder in (self._runtime, f"{self._runtime}/slots", f"{self._runtime}/runs"):
            os.makedirs(folder, 0o700, exist_ok=True)
        self._group = await anyio.create_task_group().__aenter__()
        try:
            await self._spawner.open(self._group)
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of slots and spawner: they go on."""
        self._spawner.close()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def spawner_pid(self) -> int | None:
        """For `doctor`."""
        return self._spawner.pid

    @property
    def _tasks(self) -> TaskGroup:
        assert self._group is not None, "the launcher is not entered"
        return self._group

    def _check_length(self) -> None:
        longest = os.fsencode(record.slot_socket(self._runtime, _new_name()))
        if len(longest) > record.SUN_PATH_MAX:
            limit = record.SUN_PATH_MAX - len(longest) + len(os.fsencode(self._runtime))
            raise RunnerError(f"the runtime directory {self._runtime} has a path of more than {limit} bytes")

    async def open(self) -> Slot:
        slot = await self._make()
        self._tasks.start_soon(slot.follow, name=f"slot {slot.name}")
        return slot

    async def _make(self) -> ShimSlot:
        slot = ShimSlot(self._runtime, _new_name(), self._spawner)
        try:
            await self._request(slot.name)
            await slot.connect()
        except StartFailed:
            raise
        except (OSError, RunnerError) as error:
            raise StartFailed("slot", f"slot {slot.name} cannot be had: {error}") from error
        return slot

    async def _request(self, name: str) -> None:
        request = {"op": "open", "slot": name}
        try:
            answer = await self._spawner.ask(request)
        except SpawnerGone:  # it may have died long ago, unnoticed till now: the next one is asked
            answer = await self._spawner.ask(request)
        if "error" in answer:
            raise StartFailed("slot", f"the spawner cannot make a slot: {answer['error']}", answer.get("errno"))

    def forget(self, run: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(record.run_path(self._runtime, run))  # a thread would cost more than this takes

    # -- finding ----------------------------------------------------------------------------------------------------

    async def find(self) -> list[FoundSlot]:
        """One entry per slot that lives, and one per other run that left records, those of a slot that lives too."""
        names = {name.rpartition(".")[0] for name in os.listdir(f"{self._runtime}/slots")}
        slots = {name: ShimSlot(self._runtime, name, self._spawner) for name in names}
        with anyio.move_on_after(_FIND_WITHIN):
            async with anyio.create_task_group() as dialling:
                for slot in slots.values():
                    dialling.start_soon(_try, slot)
        found: list[FoundSlot] = []
        for name, slot in slots.items():
            if slot.hello:
                found.append(self._found_alive(slot))
            else:
                await self._bury(name)
        listed = {each.run for each in found}
        left = {name.rpartition(".")[0] for name in os.listdir(f"{self._runtime}/runs") if _is_record(name)}
        async with anyio.create_task_group() as reading:
            for run in left - listed:
                reading.start_soon(self._find_left, run, {each.name for each in found if each.slot}, found)
        return found

    def _found_alive(self, slot: ShimSlot) -> FoundSlot:
        self._tasks.start_soon(slot.follow, name=f"slot {slot.name}")
        run = slot.hello["run"]
        return FoundSlot(
            name=slot.name,
            slot=slot,
            run=run,
            execution=slot.execution,
            exit=exit_on_record(self._runtime, run) if run else None,
            failed=failure_on_record(self._runtime, run) if run else None,
        )

    async def _find_left(self, run: str, living: set[str], found: list[FoundSlot]) -> None:
        """A run of which there are records alone. Its slot is dead, or has taken another run since."""
        begun = record.read(self._runtime, run, record.LEADER) or {}
        name = str((begun or record.read(self._runtime, run, record.EXIT) or {}).get("slot", ""))
        leader = leader_on_record(self._runtime, run)
        execution: ShimExecution | None = None
        if leader is not None and name not in living and not record.is_drained(self._runtime, run):
            slot = ShimSlot(self._runtime, name, self._spawner)
            execution = ShimExecution(run, leader, slot.deliver)
            self._tasks.start_soon(slot.outlive, execution, name=f"run {run}")
            if identity.has_ended(leader):
                with anyio.move_on_after(_EXIT_WITHIN):
                    await execution.drained()
        exit = exit_on_record(self._runtime, run)
        if execution is not None and execution.has_drained:
            exit = exit or await execution.exited()
            execution = None
        failed = failure_on_record(self._runtime, run)
        found.append(FoundSlot(name=name, slot=None, run=run, execution=execution, exit=exit, failed=failed))

    async def _bury(self, name: str) -> None:
        """Make sure that a slot which did not answer is dead: an order in its memory must not be carried out later.

        Its run goes on under the spawner.
        """
        lock = record.slot_lock(self._runtime, name)
        holder = record.lock_holder(lock)
        if holder is not None:
            pidfd = os.pidfd_open(holder)
            try:
                if record.lock_holder(lock) == holder:  # so the pidfd is of the process that holds it
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    with anyio.move_on_after(_EXIT_WITHIN):
                        await anyio.wait_readable(pidfd)
            finally:
                os.close(pidfd)
        record.remove_slot(self._runtime, name)


async def _try(slot: ShimSlot) -> None:
    with contextlib.suppress(OSError):  # dead then, or made to be
        await slot.connect()


def _is_record(name: str) -> bool:
    return name.rpartition(".")[2] == record.RUN


def _new_name() -> str:
    return f"s{os.urandom(_NAME_BYTES).hex()}"
