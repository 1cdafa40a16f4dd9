"""The daemon's end of one slot: keeps a connection to the shim, and follows its run also if the shim is killed."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

import anyio
from msgspec import UNSET, Struct, UnsetType

from jobkeepd.core.limits import Limits
from jobkeepd.core.model import Identity
from jobkeepd.errors import RunnerError, StartFailed
from jobkeepd.latch import Latch
from jobkeepd.runner import identity, versions
from jobkeepd.runner.base import LeaderOrder
from jobkeepd.runner.execution import (
    ShimExecution,
    end_on_record,
    exit_by_kernel,
    exit_of,
    failure_of,
    failure_on_record,
    leader_on_record,
    left_on_record,
)
from jobkeepd.runner.lines import Lines
from jobkeepd.runner.spawner_link import SpawnerGone, SpawnerLink
from jobkeepd.spawner import record

_HELLO_WITHIN = 5.0
_RETRY = 0.1


class Start(Struct, tag_field="op", tag="start"):
    """A LeaderOrder as the slot reads it. Without `base` the last one of the connection holds."""

    run: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    umask: int
    stdout: str
    stderr: str
    grace: float
    base: Mapping[str, str] | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET


class Starting:
    """A start that was sent and not yet answered."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.outcome: Latch[ShimExecution | StartFailed] = Latch()


class ShimSlot:
    """Implements Slot. `follow` must run in some task from when it is connected."""

    def __init__(self, runtime: str, name: str, spawner: SpawnerLink) -> None:
        self._runtime = runtime
        self._name = name
        self._spawner = spawner
        self._peer: Lines | None = None
        self._base: Mapping[str, str] | None = None  # what the peer has been given
        self._changed = anyio.Event()  # of _peer or alive
        self._alive = True
        self._lasts = False  # its run does, and is its last one
        self._protocol = record.PROTOCOL
        self._keeping = False  # it holds what wants to stay when its run is over, and takes no other
        self._starting: Starting | None = None
        self.execution: ShimExecution | None = None  # the last one
        self.hello: dict[str, Any] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def takes_runs(self) -> bool:
        return self._alive and not self._keeping and self._protocol in versions.SLOTS

    @property
    def lasts(self) -> bool:
        return self._lasts

    async def start(self, order: LeaderOrder) -> ShimExecution:
        if self._protocol not in versions.SLOTS:
            raise StartFailed("slot", f"slot {self._name} speaks protocol {self._protocol}, not {record.PROTOCOL}")
        if not record.is_name(order.run):
            raise StartFailed("order", f"{order.run!r} cannot name the records of a run")
        if not self._alive or self._lasts or self._peer is None or self._starting is not None:
            raise StartFailed("slot", f"slot {self._name} is not ready")
        starting = self._starting = Starting(order.run)
        # If the peer is gone, `follow` sees it, too, and finds out whether the order arrived.
        self._peer.send(
            Start(
                order.run, order.argv, order.env, order.cwd, order.umask, order.stdout, order.stderr, order.grace,
                UNSET if order.base is self._base else order.base,
                UNSET if order.limits is None else order.limits,
            )
        )  # fmt: skip
        self._base = order.base
        try:
            outcome = await starting.outcome.wait()
        finally:
            self._starting = None
        if isinstance(outcome, StartFailed):
            raise outcome
        return outcome

    async def retire(self) -> None:
        if self._peer is not None:  # else it is dead, or it will end by itself once it has been idle for long
            self._peer.send({"op": "retire"})

    async def connect(self) -> None:
        """Dial, and hear what the slot is at. Raises OSError, of which TimeoutError is one."""
        try:
            with anyio.fail_after(_HELLO_WITHIN):
                await Lines.dial(record.slot_socket(self._runtime, self._name), self._heed)
        except BaseException:
            self._peer = None
            raise

    async def answered(self) -> bool:
        """Wait for its first hello, or its death; whether it lives."""
        while not self.hello and self._alive:
            await self._changed.wait()
        return self._alive

    def take_over(self, run: str, leader: Identity) -> ShimExecution:
        """Its run, as somebody else knows it: by its record, or from the slot itself."""
        if self.execution is None or self.execution.run != run:
            if self.execution is not None:  # over, or the slot had not taken this one
                if not self.execution.has_exited:
                    self.execution.note_exit(end_on_record(self._runtime, self.execution.run))
                self.execution.note_drained()
            self.execution = ShimExecution(run, leader, self.deliver)
        return self.execution

    def _set(self, peer: Lines | None) -> None:
        self._peer = peer
        self._changed.set()
        self._changed = anyio.Event()

    # -- what the slot says -----------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Until the shim is gone, and with it everything of its last run."""
        if self._peer is None:  # it was met, but has not answered
            await self._reconnect()
        while (peer := self._peer) is not None:
            try:
                await peer.lost()
            finally:
                peer.close()
            self._set(None)
            await self._reconnect()
            if self._peer is not None and self.execution is not None and self.execution.ending:
                await self.deliver(self.execution, "end", 0)
        self._alive = False
        self._set(None)
        self._settle_start_of_dead()
        if self.execution is not None:
            await self.outlive(self.execution)

    def _heed(self, peer: Lines, message: dict[str, Any]) -> None:
        op, run = message.get("op"), message.get("run")
        if op == "hello":
            return self._meet(peer, message)
        self._lasts = self._lasts or op == "lasts"
        starting = self._starting
        if starting is not None and starting.run == run:
            if op == "failed":
                starting.outcome.set(failure_of(message))
            elif op == "started":
                starting.outcome.set(self.take_over(starting.run, Identity(*message["leader"])))
        execution = self.execution
        if execution is None or execution.run != run:
            return None
        if op == "survivors":
            execution.on_survivors(message["told"])
        if op == "exit":
            execution.note_exit(exit_of(message))
        if op == "drained" or message.get("drained"):
            self._keeping = self._keeping or message.get("keeping", False)
            execution.note_drained(silent=message.get("silent", False), left=message.get("left"))
        return None

    def _meet(self, peer: Lines, hello: dict[str, Any]) -> None:
        self.hello, self._protocol, self._base = hello, hello["protocol"], None
        self._keeping = hello.get("keeping", False)
        self._lasts = hello.get("last", False)
        if hello["state"] != "idle":
            self.take_over(hello["run"], Identity(*hello["leader"]))
        self._set(peer)
        self._catch_up(hello["run"], hello["state"])

    async def _reconnect(self) -> None:
        """Leaves `_peer` None only if the kernel says that the shim is dead."""
        while self._peer is None:
            try:
                await self.connect()
            except OSError:
                if record.lock_holder(record.slot_lock(self._runtime, self._name)) is None:
                    return
                await anyio.sleep(_RETRY)

    def _catch_up(self, run: str | None, state: str) -> None:
        """Make good for what was said while nobody listened."""
        starting = self._starting
        if starting is not None and starting.run != run:
            starting.outcome.set(StartFailed("slot", f"slot {self._name} hung up before it took the run"))
        elif starting is not None:
            self._settle_start(starting)
        if self.execution is not None and state != "running":
            self.execution.note_exit(end_on_record(self._runtime, self.execution.run))
            if state == "idle" or self.execution.run != run:
                self.execution.note_drained(left=left_on_record(self._runtime, self.execution.run))

    def _settle_start(self, starting: Starting) -> None:
        leader = leader_on_record(self._runtime, starting.run)
        failure = failure_on_record(self._runtime, starting.run)
        if failure is not None:
            starting.outcome.set(failure)
        elif leader is not None:
            starting.outcome.set(self.take_over(starting.run, leader))
        else:
            starting.outcome.set(StartFailed("slot", f"slot {self._name} did not start the run"))

    def _settle_start_of_dead(self) -> None:
        if self._starting is not None:
            self._settle_start(self._starting)  # no leader on record: the gate stayed shut, and nothing can open it

    # -- after the shim ---------------------------------------------------------------------------------------------

    async def outlive(self, execution: ShimExecution) -> None:
        """Follow a run whose shim is dead: by its records, the spawner that inherited it, or the kernel."""
        self._alive = False
        if execution.ending:
            await self.deliver(execution, "end", 0)
        if not execution.has_exited:
            state = await self._gone(until="exited")
            end = end_on_record(self._runtime, execution.run)
            if end is None and state == "unknown":
                exit = await exit_by_kernel(execution.leader)
                end = end_on_record(self._runtime, execution.run) or exit
            execution.note_exit(end)
        if not execution.has_drained:
            await self._gone(until="unknown")
            proven = record.is_drained(self._runtime, execution.run)
            execution.note_drained(proven=proven, left=left_on_record(self._runtime, execution.run))

    async def _gone(self, until: str) -> str:
        while True:
            try:
                answer = await self._spawner.ask_heir({"op": "gone", "slot": self._name, "until": until})
            except SpawnerGone:
                continue
            except RunnerError:
                return "unknown"  # no spawner to be had: nobody inherits
            return str(answer["state"])

    async def deliver(self, execution: ShimExecution, op: str, number: int) -> None:
        """Pass a signal on to whoever is the leader's parent now."""
        order = {"op": op, "run": execution.run, "slot": self._name, "number": number}
        while self._alive:
            if self._peer is None:
                await self._changed.wait()
                continue
            if self._peer.send(order):
                return
            await anyio.sleep(_RETRY)  # `follow` is about to notice
        if not await self._inherited(order):
            identity.send(execution.leader, number or signal.SIGKILL)
        return

    async def _inherited(self, order: dict[str, Any]) -> bool:
        """Whether the spawner has the dead slot's tree, and has carried out the order."""
        while True:
            try:
                return bool((await self._spawner.ask_heir(order))["known"])
            except SpawnerGone:
                continue
            except RunnerError:
                return False
