"""The host: slots, leaders, records and spool, all of which outlive daemons; and its clocks, which do not obey them."""

from __future__ import annotations

import itertools
import random
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from jobkeepd.core.model import Exit, Identity
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import LeaderOrder
from jobkeepd.runner.spool import Spooled

from .judge import Judge
from .plans import Plan
from .processes import Process, Program

if TYPE_CHECKING:
    from .daemon import Daemon

LATENCY = 0.02  # seconds, at most, of anything between two processes


class Record:
    """What is known of a run that a slot has accepted. `seen`: whoever could have seen its end is still there."""

    def __init__(self, run: str, slot: str) -> None:
        self.run = run
        self.slot = slot
        self.process: Process | None = None
        self.children = 0.0  # seconds that something of it outlives the leader
        self.exit: Exit | None = None
        self.failed: StartFailed | None = None
        self.seen = True
        self.cookie = ""
        self.begun, self.exited, self.drained, self.killed = (trio.Event() for _ in range(4))

    @property
    def is_left(self) -> bool:
        """Whether there is anything of it, whoever can tell."""
        return self.children > 0 or (self.process is not None and self.process.alive)


class HostSlot:
    """A shim. What arrives over a connection that is closed before it is read is never carried out."""

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.name = name
        self.alive = True
        self.dead = trio.Event()
        self.connection = 0
        self.run: str | None = None  # the last one it has accepted
        self._inbox: list[tuple[int, LeaderOrder, Program]] = []
        self._bell = trio.Event()

    def connect(self) -> int:
        self.connection += 1
        return self.connection

    def send(self, connection: int, order: LeaderOrder, program: Program) -> None:
        self._inbox.append((connection, order, program))
        self._bell.set()

    async def serve(self) -> None:
        while self.alive:
            await self._bell.wait()
            self._bell = trio.Event()
            while self._inbox:
                await self.host.latency()
                if not self.alive:
                    return
                connection, order, program = self._inbox.pop(0)
                if connection == self.connection:
                    await self._carry_out(order, program)

    async def _carry_out(self, order: LeaderOrder, program: Program) -> None:
        record = self.host.records[order.run] = Record(order.run, self.name)
        record.cookie = order.env.get("JOBKEEP_COOKIE", "")
        self.run = order.run
        if self.host.rng.random() < self.host.trouble:
            record.failed = StartFailed("exec", "command not found: true")
            record.begun.set()
            record.drained.set()
            return
        record.process = self.host.process(deaf=self.host.is_deaf(order.run))
        record.children = self.host.leftover(order.run)
        record.begun.set()
        self.host.nursery.start_soon(self.host.follow, record, program)
        await record.drained.wait()

    def die(self) -> None:
        """SIGKILL: its run goes on, under the spawner."""
        self.alive = False
        self.dead.set()
        self._bell.set()
        self.host.slots.pop(self.name, None)


class Host:
    """`trouble` is the chance that a start fails. `daemon` is the one that listens now."""

    def __init__(self, rng: random.Random, judge: Judge, nursery: trio.Nursery) -> None:
        self.rng = rng
        self.judge = judge
        self.nursery = nursery
        self.trouble = 0.0
        self.daemon: Daemon | None = None
        self.plans: dict[str, Plan] = {}
        self.boot = 1
        self.last_boot: int | None = None  # in which a daemon ran here before
        self.slots: dict[str, HostSlot] = {}
        self.records: dict[str, Record] = {}
        self.spool: dict[str, Spooled] = {}
        self.owners: dict[str, str] = {}  # of the files of seats: runs
        self.begun: dict[str, list[str]] = {}  # by worker: the runs that it has begun
        self.clients: dict[int, Process] = {}  # who holds locks, by pid
        self._numbers = itertools.count(100)
        self._booted = 0.0
        self._set_by = 0.0  # how far the wall clock has been moved

    # -- clocks: implements jobkeepd.clock.Clock -----------------------------------------------------------------

    def now(self) -> float:
        return 1_000_000.0 + trio.current_time() + self._set_by

    def monotonic(self) -> float:
        return trio.current_time() - self._booted + 50.0

    def set_clock(self, by: float) -> None:
        """0 is the true time."""
        self._set_by = by

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boot}"

    async def latency(self) -> None:
        await trio.sleep(self.rng.random() * LATENCY)

    # -- processes -----------------------------------------------------------------------------------------------

    def process(self, deaf: bool = False) -> Process:
        pid = next(self._numbers)
        return Process(Identity(self.boot_id, pid, pid * 10), deaf)

    def leaders(self) -> list[Record]:
        return [record for record in self.records.values() if record.process is not None and record.process.alive]

    def find(self, who: Identity) -> Process | None:
        """The very process, if it has not been forgotten."""
        everybody = [record.process for record in self.records.values() if record.process is not None]
        return next((each for each in [*everybody, *self.clients.values()] if each.identity == who), None)

    def is_deaf(self, run: str) -> bool:
        plan = self.plans.get(run.partition(".")[0])
        return plan is not None and plan.deaf

    def leftover(self, run: str) -> float:
        plan = self.plans.get(run.partition(".")[0])
        return 0.0 if plan is None else plan.leftover

    def open_slot(self) -> HostSlot:
        slot = HostSlot(self, f"s{next(self._numbers)}")
        self.slots[slot.name] = slot
        self.nursery.start_soon(slot.serve)
        return slot

    async def follow(self, record: Record, program: Program) -> None:
        """One leader from its start to the end of everything it leaves behind."""
        process, boot = record.process, self.boot
        assert process is not None
        await process.live(program)
        if self.boot != boot:
            return
        if record.seen:
            record.exit = Exit(process.status or 0, self.now())
        else:
            record.drained.set()  # as far as anybody can tell
        record.exited.set()
        if record.children:
            with self.judge.leftover(record.run), trio.move_on_after(record.children):
                await record.killed.wait()
        record.children = 0.0
        record.drained.set()

    async def end_stragglers(self, cookie: str) -> None:
        """Whatever has that cookie in its environment."""
        await self.latency()
        for record in list(self.records.values()):
            if record.cookie == cookie:
                self.end(record)
        while any(record.is_left for record in self.records.values() if record.cookie == cookie):
            await trio.sleep(0.01)

    def end(self, record: Record) -> None:
        """SIGKILL for all of a run."""
        record.killed.set()
        if record.process is not None:
            record.process.signal(signal.SIGKILL)

    def reboot(self, act: Callable[[], None]) -> None:
        """Nothing that runs is left; what is on disk is. `act` is done while nothing runs."""
        for record in list(self.records.values()):
            self.end(record)
        for client in self.clients.values():
            client.signal(signal.SIGKILL)
        for slot in list(self.slots.values()):
            slot.die()
        self.boot += 1
        self._booted = trio.current_time()
        self.records.clear()
        act()
