"""The runner: seats by what they can take, made on demand, kept while they are useful."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import anyio.abc
import structlog
from msgspec import Struct, json, to_builtins

from jobkeepd.core.admission import COMMAND, Need
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import Execution, LeaderOrder, Seat, Slot, SlotSource
from jobkeepd.runner.command_seat import CommandSeat
from jobkeepd.runner.environment import worker_run, worker_variables
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.runner.worker_seat import WorkerSeat

log = structlog.get_logger()


class Idle(Struct, frozen=True, eq=False):
    """A seat without a run, since when (monotonic)."""

    seat: Seat
    since: float


class Pool:
    """Implements Runner over a source of slots."""

    def __init__(
        self, slots: SlotSource, surroundings: Surroundings, tasks: anyio.abc.TaskGroup, max_idle: int
    ) -> None:
        self._slots = slots
        self._surroundings = surroundings
        self._tasks = tasks
        self._max_idle = max_idle
        self._idle: list[Idle] = []  # the one used last at the end
        self.workers: dict[str, WorkerSeat] = {}  # by name, all that live

    async def acquire(self, need: Need, environment: Mapping[str, str]) -> Seat:
        self.trim_once()
        for idle in reversed(self._idle):  # the one used last is the warmest
            if idle.seat.need == need:
                self._idle.remove(idle)
                return idle.seat
        if need == COMMAND:
            return CommandSeat(await self._slots.open(), self._surroundings)
        return await self._start_worker(need, environment)

    def release(self, seat: Seat) -> None:
        self._idle.append(Idle(seat, self._surroundings.clock.monotonic()))
        self.trim_once()

    def trim_once(self) -> None:
        """Let go of idle seats that are of no use any more, idle for too long, or more than are worth keeping."""
        limit = self._surroundings.clock.monotonic() - self._surroundings.settings.idle_timeout
        useful = [idle for idle in self._idle if idle.seat.usable and (idle.since > limit or idle.seat.need == COMMAND)]
        kept = useful[-self._max_idle :]
        if len(kept) < len(self._idle):
            for idle in self._idle:
                if idle not in kept:
                    self._tasks.start_soon(idle.seat.retire, name=f"retire {idle.seat.name}")
            self._idle = kept

    def renounce(self) -> None:
        """All slots are about to end, and no others are to be made."""
        self._slots.renounce()

    async def retire_idle(self) -> None:
        """Let go of every seat that has no run: the daemon ends, and the next one makes its own."""
        idle, self._idle = self._idle, []
        for each in idle:
            await each.seat.retire()

    async def _start_worker(self, need: Need, environment: Mapping[str, str]) -> Seat:
        bridge = self._bridge(need)
        slot = await self._slots.open()
        try:
            execution = await slot.start(self._worker_order(need, slot.name, {**environment, **bridge}))
        except StartFailed:
            await slot.retire()
            raise
        seat = self._keep(WorkerSeat(need, slot, execution, self._surroundings))
        try:
            await seat.ready()
        except StartFailed as failed:
            raise StartFailed(failed.stage, f"{failed}{self._last_line(slot.name)}") from None
        return seat

    def adopt(self, need: Need, slot: Slot, execution: Execution) -> Seat:
        """The seat of a leader that an earlier daemon started. A worker will dial by itself."""
        if need != COMMAND:
            return self._keep(WorkerSeat(need, slot, execution, self._surroundings, adopted=True))
        seat = CommandSeat(slot, self._surroundings)
        seat.adopt(execution)
        return seat

    def _keep(self, seat: WorkerSeat) -> WorkerSeat:
        self.workers[seat.name] = seat
        self._tasks.start_soon(self._watch, seat, name=f"worker {seat.name}")
        return seat

    async def _watch(self, seat: WorkerSeat) -> None:
        await seat.watch()
        del self.workers[seat.name]
        await seat.settled()
        self._surroundings.forget(worker_run(seat.name))
        self._surroundings.outputs.drop_seat(seat.name)
        log.info("worker_ended", seat=seat.name)

    def _bridge(self, need: Need) -> dict[str, str]:
        """What the need's bridge is told, if it needs one. Raises StartFailed for a cluster that there is not."""
        if need.on is None:
            return {}
        name, known = need.on.partition(":")[2], self._surroundings.clusters
        if name not in known:
            there = ", ".join(f"[dask.{each}]" for each in sorted(known)) or "none"
            raise StartFailed("cluster", f"the configuration has no [dask.{name}]; there is {there}")
        return {"JOBKEEP_CLUSTER": json.encode({"name": name, **to_builtins(known[name])}).decode()}

    def _worker_order(self, need: Need, seat: str, environment: Mapping[str, str]) -> LeaderOrder:
        directories = self._surroundings.directories
        assert need.python is not None and need.cwd is not None
        own = worker_variables(
            directories, seat, self._surroundings.worker_cookie(seat), self._surroundings.heartbeat
        )
        path = self._surroundings.outputs.worker_log(seat)
        return LeaderOrder(
            run=worker_run(seat),
            argv=(need.python, "-m", "jobkeep.worker" if need.on is None else "jobkeep.dask_bridge"),
            env={**environment, **dict(need.env), **own},
            cwd=need.cwd,
            umask=need.umask,
            stdout=path,
            stderr=path,
            grace=self._surroundings.grace,
            limits=need.limits,
        )

    def _last_line(self, seat: str) -> str:
        """Why a worker did not start is mostly in its last line, such as 'No module named jobkeep'."""
        try:
            with open(self._surroundings.outputs.worker_log(seat), "rb") as file:
                lines = file.read(65536).decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f": {lines[-1]}" if lines else ""
