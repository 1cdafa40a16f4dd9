"""A port without worker and daemon: it keeps what was sent, and dies or asks to stop when told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
from msgspec import Raw

from jobkeep.protocol.jobs import FailedItem
from jobkeep.protocol.worker import ItemKey, RunOrder
from jobkeep.sdk.crew import Done, Function, Recruit, work_off
from jobkeep.sdk.port import CheckpointContent, ProgressContent, StepContent


class Records:
    """What the daemon's store would hold of one job, across its runs."""

    def __init__(self) -> None:
        self.seq: int = 0
        self.newest: CheckpointContent | None = None
        self.failed: dict[tuple[str, str], FailedItem] = {}
        self.steps: list[tuple[str, Raw]] = []
        self.runs: int = 0

    def commit(self, seq: int, content: CheckpointContent) -> None:
        """Take over a checkpoint; one that is stored already changes nothing."""
        if seq <= self.seq:
            return
        self.seq, self.newest = seq, content
        for item in content.failed:
            self.failed[item.batch, item.key] = item
        for key in content.resolved:
            self.failed.pop((key.batch, key.key))

    @property
    def tallies(self) -> dict[str, int]:
        return self.newest.tallies if self.newest else {}

    @property
    def done(self) -> int:
        return self.newest.done if self.newest else 0

    @property
    def cursor(self) -> Any:
        return msgspec.json.decode(self.newest.cursor) if self.newest else None

    def order(self, *, every: int = 5, only_failed: bool = False) -> RunOrder:
        """The order of the job's next run."""
        self.runs += 1
        newest = self.newest
        return RunOrder(
            run=f"j1.{self.runs}", fence=self.runs, function="m:f", arguments=Raw(b"{}"), job="j1", name="f",
            number=self.runs, cookie="c", stdout="/dev/null", stderr="/dev/null",
            cursor=newest.cursor if newest else Raw(b"null"), state=newest.state if newest else Raw(b"null"),
            checkpoint_seq=self.seq, tallies=self.tallies, done=self.done, failed_items=len(self.failed),
            only_failed=only_failed, checkpoint_every=every, steps=[name for name, _ in self.steps],
        )  # fmt: skip


class Here:
    """A crew of one, which does the first item of what it is given at once, in this process."""

    def __init__(self, function: Function, most: int | None = None) -> None:
        self.width = 1
        self.done: deque[tuple[int, Done]] = deque()
        self._function = function

    def hand_out(self, number: int, items: list[Any]) -> None:
        self.done.append((number, work_off(self._function, items[:1])))

    def end(self) -> None:
        """Nothing is left."""


class MemorySteps:
    """Results are durable once somebody waits for them, unless the port is dead."""

    def __init__(self, port: MemoryPort) -> None:
        self.durable: int = len(port.records.steps)
        self.fetched: list[int] = []
        self.sent: list[StepContent] = []
        self._port = port

    def send(self, step: StepContent) -> None:
        self.sent.append(step)

    def is_durable(self, ordinal: int) -> bool:
        steps = self._port.records.steps
        for step in () if self._port.dead else self.sent:
            if step.ordinal == len(steps):
                steps.append((step.name, step.result))
                self.durable = len(steps)
        return ordinal < self.durable

    def ask(self, ordinal: int) -> Callable[[], Raw | None]:
        self.fetched.append(ordinal)
        return lambda: self._port.records.steps[ordinal][1]


class MemoryPort:
    """Checkpoints become durable `lag` checkpoints later, or when somebody waits for them."""

    def __init__(self, records: Records, lag: int = 0) -> None:
        self.records = records
        self.stop_reason: str | None = None
        self.durable_seq: int = records.seq
        self.attentive = False
        self.closing: list[Callable[[], None]] = []
        self.recruit: Recruit = Here
        self.progress: list[ProgressContent] = []
        self.dead = False
        self.steps: MemorySteps = MemorySteps(self)
        self.on_checkpoint: Callable[[CheckpointContent], None] = lambda content: None
        self._seq = records.seq
        self._lag = lag
        self._transit: list[tuple[int, CheckpointContent]] = []
        self._changed = anyio.Event()

    def send_checkpoint(self, content: CheckpointContent) -> int:
        self._seq += 1
        if not self.dead:
            self._transit.append((self._seq, content))
            self._settle(self._seq - self._lag)
            self.on_checkpoint(content)
        return self._seq

    def is_durable(self, seq: int) -> bool:
        self._settle(seq)
        return self.dead or self.durable_seq >= seq

    def send_progress(self, content: ProgressContent) -> None:
        self.progress.append(content)

    def stop(self, reason: str) -> None:
        self.stop_reason = reason
        self._changed.set()
        self._changed = anyio.Event()

    async def durable(self, seq: int) -> None:
        await anyio.lowlevel.checkpoint()
        self._settle(seq)

    async def until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            await self._changed.wait()

    async def failed_keys(self) -> list[ItemKey]:
        return self.failed_keys_blocking()

    def durable_blocking(self, seq: int) -> None:
        self._settle(seq)

    def until_blocking(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        return ready()

    def failed_keys_blocking(self) -> list[ItemKey]:
        return [ItemKey(batch, key) for batch, key in self.records.failed]

    def _settle(self, seq: int) -> None:
        while not self.dead and self._transit and self._transit[0][0] <= seq:
            number, content = self._transit.pop(0)
            self.records.commit(number, content)
            self.durable_seq = number
