"""The one opening between a job's context and whatever carries its reports: a worker, or a fake in tests."""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw, Struct

from jobkeep.protocol.jobs import FailedItem
from jobkeep.protocol.worker import ItemKey


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


class Port(Protocol):
    """What both kinds of context need. Nothing here blocks.

    `stop_reason`: why the run should stop, or None. `durable_seq`: the newest checkpoint that is durable.
    `attentive`: set by the context while the job looks at `stop_reason` by itself, so that it is given time.
    """

    stop_reason: str | None
    durable_seq: int
    attentive: bool

    def send_checkpoint(self, content: CheckpointContent) -> int:
        """Send it on its way and return its seq, which rises by one."""

    def send_progress(self, content: ProgressContent) -> None:
        """Send it on its way; it may get lost."""


class AsyncPort(Port, Protocol):
    """The port of an async function."""

    async def durable(self, seq: int) -> None:
        """Return once that checkpoint is durable. Raises TooLarge or InvalidRequest if it was refused."""

    async def stopped(self) -> None:
        """Return once `stop_reason` is set."""

    async def failed_keys(self) -> list[ItemKey]:
        """All items on record as failed."""


class BlockingPort(Port, Protocol):
    """The port of a plain function."""

    def durable_blocking(self, seq: int) -> None:
        """Return once that checkpoint is durable. Raises TooLarge or InvalidRequest if it was refused."""

    def stopped_blocking(self, timeout_s: float) -> bool:
        """Wait at most that long for a request to stop; whether there is one."""

    def failed_keys_blocking(self) -> list[ItemKey]:
        """All items on record as failed."""
