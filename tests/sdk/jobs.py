"""The job that the tests of resuming run: some items fail, and it can be killed at any point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import anyio

from jobkeep.sdk import Batch, BlockingJobContext, JobContext
from jobkeep.testing.memory import MemoryPort, Records


class Killed(BaseException):
    """Stands for kill -9: nothing that is sent afterwards arrives."""


class Job:
    """Goes through `items`; those in `failing` raise. `calls` are the items whose body ended, in order."""

    def __init__(self, items: Iterable[Any], failing: Iterable[Any] = ()) -> None:
        self.items = items
        self.failing = set(failing)
        self.records = Records()
        self.calls: list[Any] = []
        self.started = 0
        self.port = MemoryPort(self.records)

    def body(self, kill_at: int | None, stop_at: int | None) -> Callable[[Any], str]:
        """A body that kills or stops the run when so many bodies have been started in it."""
        begin = self.started

        def one(item: Any) -> str:
            if kill_at is not None and self.started - begin >= kill_at:
                self.port.dead = True
                raise Killed
            self.started += 1
            if stop_at is not None and self.started - begin >= stop_at:
                self.port.stop("cancelled")
            self.calls.append(item)
            if item in self.failing:
                raise ValueError(f"no {item}")
            return "even" if int(item) % 2 == 0 else "odd"

        return one

    async def run(
        self,
        *,
        kill_at: int | None = None,
        stop_at: int | None = None,
        lag: int = 0,
        every: int = 5,
        only_failed: bool = False,
        **options: Any,
    ) -> Batch:
        """One run of the job, from its last durable checkpoint."""
        self.port = MemoryPort(self.records, lag)
        one = self.body(kill_at, stop_at)

        async def body(item: Any) -> str:
            await anyio.lowlevel.checkpoint()
            return one(item)

        context = JobContext(self.records.order(every=every, only_failed=only_failed), self.port)
        return await context.for_each(self.items, body, **options)

    def run_blocking(
        self, *, kill_at: int | None = None, lag: int = 0, every: int = 5, **options: Any
    ) -> Batch:
        """The same in a plain function."""
        self.port = MemoryPort(self.records, lag)
        order = self.records.order(every=every, only_failed=options.pop("only_failed", False))
        return BlockingJobContext(order, self.port).for_each(
            self.items, self.body(kill_at, None), **options
        )
