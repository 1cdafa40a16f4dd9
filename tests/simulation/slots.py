"""A daemon's way to the slots of the host, and what it sees of processes; without effect once it is dead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from jobkeepd.core.liveness import ProcessState
from jobkeepd.core.model import Exit, Identity, RunRef
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import FoundSlot, LeaderOrder
from jobkeepd.runner.spool import Spooled

from .host import Host, HostSlot, Record
from .programs import program_for

if TYPE_CHECKING:
    from .daemon import Daemon


class HostExecution:
    """Implements Execution."""

    silent = False
    left: Mapping[str, Any] = {}
    on_survivors: Callable[[Any], None] = staticmethod(lambda told: None)

    def __init__(self, daemon: Daemon, record: Record) -> None:
        self._daemon = daemon
        self._record = record

    @property
    def proven(self) -> bool:
        return self._record.seen

    @property
    def leader(self) -> Identity:
        assert self._record.process is not None
        return self._record.process.identity

    async def exited(self) -> Exit | None:
        await self._record.exited.wait()
        await self._daemon.host.latency()
        return self._record.exit

    async def drained(self) -> None:
        await self._record.drained.wait()
        await self._daemon.host.latency()

    async def signal(self, number: int) -> None:
        await self._daemon.host.latency()
        if self._daemon.alive and self._record.process is not None:
            self._record.process.signal(number)

    async def end(self) -> None:
        await self._daemon.host.latency()
        if self._daemon.alive:
            self._daemon.host.end(self._record)


class DaemonSlot:
    """Implements Slot."""

    def __init__(self, daemon: Daemon, slot: HostSlot) -> None:
        self._daemon = daemon
        self._slot = slot
        self._connection = slot.connect()
        self.name = slot.name

    lasts = False

    @property
    def takes_runs(self) -> bool:
        return self._slot.alive

    async def start(self, order: LeaderOrder) -> HostExecution:
        host = self._daemon.host
        if not self._slot.alive:
            raise StartFailed("slot", f"slot {self.name} is gone")
        self._slot.send(self._connection, order, program_for(host, order))
        while order.run not in host.records:
            with trio.move_on_after(0.01):
                await self._slot.dead.wait()
                break
        record = host.records.get(order.run)
        if record is None:
            raise StartFailed("slot", f"slot {self.name} is gone")
        await record.begun.wait()
        await host.latency()
        if record.failed is not None:
            raise record.failed
        return HostExecution(self._daemon, record)

    async def retire(self) -> None:
        record = self._daemon.host.records.get(self._slot.run or "")
        if self._daemon.alive and (record is None or record.drained.is_set()):
            self._slot.die()


class Slots:
    """Implements SlotSource."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._host = daemon.host

    async def open(self) -> DaemonSlot:
        await self._host.latency()
        return DaemonSlot(self._daemon, self._host.open_slot())

    async def find(self) -> list[FoundSlot]:
        await self._host.latency()
        found = [self._found(slot.run, DaemonSlot(self._daemon, slot)) for slot in list(self._host.slots.values())]
        listed = {each.run for each in found}
        return found + [self._found(run, None) for run in list(self._host.records) if run not in listed]

    def _found(self, run: str | None, slot: DaemonSlot | None) -> FoundSlot:
        record = self._host.records.get(run or "")
        if record is None:
            return FoundSlot(name="" if slot is None else slot.name, slot=slot, run=run, execution=None, exit=None)
        going_on = record.process is not None and not record.drained.is_set()
        return FoundSlot(
            name=record.slot,
            slot=slot,
            run=run,
            execution=HostExecution(self._daemon, record) if going_on else None,
            exit=record.exit,
            failed=record.failed,
            begun=begun_of(self._host, run or ""),
            proven=record.seen,
        )

    async def look_again(self, found: FoundSlot, run: str) -> FoundSlot:
        return found  # no slot of this host is silent

    def renounce(self) -> None:
        """There is no spawner to start."""

    def forget(self, run: str) -> None:
        record = self._host.records.get(run)
        if self._daemon.alive and record is not None and record.drained.is_set():
            del self._host.records[run]
            self._host.begun.pop(run, None)


class HostOutputs:
    """Implements what is used of runner.output.Outputs: whose the files of each seat are. Nothing is written."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def begin(self, seat: str, run: RunRef) -> tuple[str, str]:
        self._host.owners[seat] = run.id
        return "", ""

    def owner(self, seat: str) -> str | None:
        return self._host.owners.get(seat)

    def rejoin(self, seat: str, run: RunRef) -> None: ...

    def disown(self, run: RunRef) -> None: ...

    def keep(self, run: RunRef) -> bool:
        return True

    def size(self, run: RunRef) -> int:
        return 0

    def worker_log(self, seat: str) -> str:
        return "/nowhere"

    def drop_seat(self, seat: str) -> None:
        self._host.owners.pop(seat, None)

    def sweep(self, living: set[str]) -> None: ...


class HostSpool:
    """Implements what is used of runner.spool.Spool."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def read(self) -> dict[str, Spooled]:
        return dict(self._daemon.host.spool)

    def take(self, run: str) -> Spooled:
        return self._daemon.host.spool.get(run) or Spooled()

    def discard(self, run: str) -> None:
        if self._daemon.alive:
            self._daemon.host.spool.pop(run, None)

    def sweep(self) -> None:
        """Nothing is written half here."""


class HostProcesses:
    """Implements Processes, for the clients that hold locks."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def identify(self, pid: int) -> Identity | None:
        process = self._host.clients.get(pid)
        return process.identity if process is not None and process.alive else None

    def alive(self, who: Identity) -> bool | None:
        process = self._host.find(who)
        return process is not None and process.alive

    async def ended(self, who: Identity) -> None:
        process = self._host.find(who)
        if process is not None:
            await process.ended.wait()


class HostStragglers:
    """Implements Stragglers."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def end(self, cookie: str, grace: float, run: str | None = None, slot: str | None = None) -> None:
        if self._daemon.alive:
            await self._daemon.host.end_stragglers(cookie)


def begun_of(host: Host, run: str) -> tuple[str, ...] | None:
    """Stands for record.begun."""
    names = host.begun.get(run)
    return None if names is None else tuple(names)


def state_of(host: Host) -> Callable[[Identity], ProcessState | None]:
    """Stands for process_state."""

    def look(who: Identity) -> ProcessState | None:
        process = host.find(who)
        return None if process is None else process.state

    return look


