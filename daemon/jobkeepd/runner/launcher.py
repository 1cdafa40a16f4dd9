"""Makes slots, finds them again after a restart, and keeps a spawner to make them with."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import anyio
from anyio.abc import TaskGroup

from jobkeepd.core.signalled import Signalled
from jobkeepd.errors import RunnerError, StartFailed
from jobkeepd.runner.base import FoundSlot, Slot
from jobkeepd.runner.environment import worker_run
from jobkeepd.runner.execution import leader_on_record
from jobkeepd.runner.finding import Finder
from jobkeepd.runner.slot import ShimSlot
from jobkeepd.runner.spawner_link import SpawnerGone, SpawnerLink
from jobkeepd.spawner import record

_NAME_BYTES = 4


class Launcher:
    """Implements SlotSource. Enter it before SQLite is opened: it may start the spawner."""

    def __init__(
        self,
        runtime_dir: Path,
        python: str = sys.executable,
        audit: Callable[[Signalled], None] = lambda said: None,
    ) -> None:
        self._runtime = str(runtime_dir)
        self._audit = audit
        self._spawner = SpawnerLink(self._runtime, python, audit)
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Launcher:
        self._check_length()
        for folder in (self._runtime, f"{self._runtime}/slots", f"{self._runtime}/runs"):
            os.makedirs(folder, 0o700, exist_ok=True)
        self._group = await anyio.create_task_group().__aenter__()
        self._finder = Finder(self._runtime, self._spawner, self._group, self._audit)
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

    def renounce(self) -> None:
        """Slots and the spawner are about to end, and no others are to be made."""
        self._spawner.renounce()

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
        try:
            try:
                name = await self._request()
            except SpawnerGone:  # long ago, unnoticed till now; or half-way, and then that name is taken
                name = await self._request()
            slot = ShimSlot(self._runtime, name, self._spawner)
            await slot.connect()
        except StartFailed:
            raise
        except (OSError, RunnerError) as error:
            raise StartFailed("slot", f"a slot cannot be had: {error}") from error
        return slot

    async def _request(self) -> str:
        """The name of a slot that the spawner has made."""
        name = _new_name()
        answer = await self._spawner.ask({"op": "open", "slot": name})
        if "error" in answer:
            raise StartFailed("slot", f"the spawner cannot make a slot: {answer['error']}", answer.get("errno"))
        return name

    def forget(self, run: str) -> None:
        for path in (record.run_path(self._runtime, run), record.begun_path(self._runtime, run)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # a thread would cost more than this takes

    def may_live(self, run: str, seat: str) -> bool:
        """Whether something may be left of a run that had this slot, by its own record, or else by that of a worker."""
        if self._has_begun(run):
            return not record.is_drained(self._runtime, run)
        if record.lock_holder(record.slot_lock(self._runtime, seat)) is not None:
            return True  # it may have the start, or the worker
        worker = worker_run(seat)
        return self._has_begun(worker) and not record.is_drained(self._runtime, worker)

    def _has_begun(self, run: str) -> bool:
        """Since the host was booted."""
        leader = leader_on_record(self._runtime, run)
        return leader is not None and leader.boot_id == record.boot_id()

    # -- finding ----------------------------------------------------------------------------------------------------

    async def find(self) -> list[FoundSlot]:
        return await self._finder.find()

    async def look_again(self, found: FoundSlot, run: str) -> FoundSlot:
        return await self._finder.look_again(found, run)


def _new_name() -> str:
    return f"s{os.urandom(_NAME_BYTES).hex()}"
