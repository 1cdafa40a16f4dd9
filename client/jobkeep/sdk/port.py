"""The one opening between a job's context and whatever carries its reports: a worker, or a fake in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Raw, Struct

from jobkeep.errors import RunLeaseLost, Stopped
from jobkeep.protocol.jobs import FailedItem
from jobkeep.protocol.worker import ItemKey
from jobkeep.sdk.crew import Recruit

LEASE_LOST: Final = "lease lost"  # the reason of a run that is not ours any more
DRAIN: Final = "drain"  # the one reason to stop that waits for a checkpoint; see stops.py


class CheckpointContent(Struct, kw_only=True):
    """What a checkpoint holds, apart from run, fence and seq. `cursor` and `state` are encoded JSON."""

    cursor: Raw
    state: Raw
    done: int
    total: int | None
    note: str | None
    tallies: dict[str, int]
    failed: list[FailedItem]
    resolved: list[ItemKey]


class ProgressContent(Struct, kw_only=True):
    """How far the job is, between checkpoints. `tallies` is None where no batch has been begun."""

    done: int
    total: int | None
    note: str | None
    tallies: dict[str, int] | None


class StepContent(Struct):
    """The result of a step, encoded JSON. `ordinal` counts the job's steps from 0."""

    ordinal: int
    name: str
    result: Raw


class StepPort(Protocol):
    """Where results of steps go to and come from; for those who wait for them there is `until` of the port itself.

    `durable`: how many are.
    """

    durable: int

    def send(self, step: StepContent) -> None:
        """Send it on its way."""

    def is_durable(self, ordinal: int) -> bool:
        """Whether that one is. Raises TooLarge or InvalidRequest if it was refused."""

    def ask(self, ordinal: int) -> Callable[[], Raw | None]:
        """Have the stored result of that one fetched; what returns it once it is there. That may raise as above."""


class Port(Protocol):
    """What both kinds of context need. Nothing here blocks.

    `stop_reason`: why the run should stop, or None. `durable_seq`: the newest checkpoint that is durable.
    `attentive`: set by the context while the job looks at `stop_reason` by itself, so that it is given time.
    `closing`: what is to be called once the function has ended; it does not raise.
    `recruit`: where the items of a map are worked on.
    """

    stop_reason: str | None
    durable_seq: int
    attentive: bool
    closing: list[Callable[[], None]]
    recruit: Recruit

    @property
    def steps(self) -> StepPort: ...

    def send_checkpoint(self, content: CheckpointContent) -> int:
        """Send it on its way and return its seq, which rises by one."""

    def send_progress(self, content: ProgressContent) -> None:
        """Send it on its way; it may get lost."""

    def is_durable(self, seq: int) -> bool:
        """Whether that checkpoint is. Raises TooLarge or InvalidRequest if it was refused."""


class AsyncPort(Port, Protocol):
    """The port of an async function."""

    async def durable(self, seq: int) -> None:
        """Return once that checkpoint is durable. Raises TooLarge or InvalidRequest if it was refused."""

    async def until(self, ready: Callable[[], bool]) -> None:
        """Return once it is, which is looked at whenever something that the port tells has changed."""

    async def failed_keys(self) -> list[ItemKey]:
        """All items on record as failed."""


class BlockingPort(Port, Protocol):
    """The port of a plain function."""

    def durable_blocking(self, seq: int) -> None:
        """Return once that checkpoint is durable. Raises TooLarge or InvalidRequest if it was refused."""

    def until_blocking(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """As `until`, for at most that long; whether it is."""

    def failed_keys_blocking(self) -> list[ItemKey]:
        """All items on record as failed."""


def stop_of(port: Port) -> Stopped:
    """What a job is told that is to end now."""
    return RunLeaseLost() if port.stop_reason == LEASE_LOST else Stopped(port.stop_reason or "stopped")
