"""Contexts without worker and daemon, for a call of a job's function in a test."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from jobkeep.sdk.blocking import BlockingJobContext
from jobkeep.sdk.context import JobContext
from jobkeep.sdk.options import Batch
from jobkeep.testing.memory import MemoryPort, Records


class Observer:
    """Hears of all that a job does in one run, item by item; a checkpoint or a step counts as one, too."""

    def begins(self, item: Any) -> None:
        """An item; None for a checkpoint or a step."""

    def finished(self) -> None:
        """It is, or it has failed."""


class FakeContext(JobContext):
    """Keeps in `records` what a daemon would store: progress, state, tallies, failed items and results of steps.

    ``batch = await refresh(FakeContext(), "leads.csv")``. With the records of an earlier context it goes on from there.
    Nothing waits: `slept` says how long `sleep` would have.
    """

    def __init__(
        self,
        records: Records | None = None,
        *,
        observer: Observer | None = None,
        only_failed: bool = False,
        lag: int = 0,
    ) -> None:
        self.records: Records = Records() if records is None else records
        self.slept: float = 0.0
        self.port: MemoryPort = MemoryPort(self.records, lag)
        self._observer = observer or Observer()
        super().__init__(self.records.order(only_failed=only_failed), self.port)

    def stop(self, reason: str = "cancelled") -> None:
        """Ask the job to stop, as the daemon would."""
        self.port.stop(reason)

    async def for_each(self, source: Any, body: Callable[[Any], Any], **options: Any) -> Batch:
        async def observed(item: Any) -> Any:
            self._observer.begins(item)
            try:
                label = body(item)
                return await label if isawaitable(label) else label
            finally:
                self._observer.finished()

        return await super().for_each(source, observed, **options)

    async def map(self, function: Callable[[Any], Any], items: Any, **options: Any) -> Batch:
        return await super().map(_observed(self._observer, function), items, **options)

    async def checkpoint(self, state: Any) -> None:
        self._observer.begins(None)
        await super().checkpoint(state)
        self._observer.finished()

    async def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        self._observer.begins(None)
        result = await super().step(name, fn, *args)
        self._observer.finished()
        return result

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await super().sleep(0)


class BlockingFakeContext(BlockingJobContext):
    """The same for plain functions."""

    def __init__(
        self,
        records: Records | None = None,
        *,
        observer: Observer | None = None,
        only_failed: bool = False,
        lag: int = 0,
    ) -> None:
        self.records: Records = Records() if records is None else records
        self.slept: float = 0.0
        self.port: MemoryPort = MemoryPort(self.records, lag)
        self._observer = observer or Observer()
        super().__init__(self.records.order(only_failed=only_failed), self.port)

    def stop(self, reason: str = "cancelled") -> None:
        """Ask the job to stop, as the daemon would."""
        self.port.stop(reason)

    def for_each(self, source: Any, body: Callable[[Any], Any], **options: Any) -> Batch:
        return super().for_each(source, _observed(self._observer, body), **options)

    def map(self, function: Callable[[Any], Any], items: Any, **options: Any) -> Batch:
        return super().map(_observed(self._observer, function), items, **options)

    def checkpoint(self, state: Any) -> None:
        self._observer.begins(None)
        super().checkpoint(state)
        self._observer.finished()

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        self._observer.begins(None)
        result = super().step(name, fn, *args)
        self._observer.finished()
        return result

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        super().sleep(0)


def _observed(observer: Observer, body: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if iscoroutinefunction(body):
        return body  # which the context refuses

    def observed(item: Any) -> Any:
        observer.begins(item)
        try:
            return body(item)
        finally:
            observer.finished()

    return observed
