"""The context of an async function: progress, checkpoints, batches and the request to stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from jobkeep.errors import Stopped
from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.foreach import for_each
from jobkeep.sdk.ledger import Ledger
from jobkeep.sdk.options import Batch, BatchOptions
from jobkeep.sdk.port import AsyncPort
from jobkeep.sdk.source import Source, known_total

T = TypeVar("T")


class JobContext:
    """What an async job function gets as its first parameter, if that is named `ctx` or annotated so.

    `restored` is the state of the last checkpoint (None: there was none). Every method raises Stopped, which
    is not an Exception, once the run was asked to stop.
    """

    def __init__(self, order: RunOrder, port: AsyncPort) -> None:
        self.job_id = order.job
        self.run_number = order.number
        self.name = order.name
        self.restored: Any = msgspec.json.decode(order.state)
        self._port = port
        self._ledger = Ledger(order, port)

    @property
    def stop_reason(self) -> str | None:
        """Why the run should stop: cancelled, restart, drain or timeout; None as long as it should not.

        Who looks at it is trusted to end by itself: only after two seconds the function is cancelled.
        """
        self._port.attentive = True
        return self._port.stop_reason

    async def for_each(
        self,
        source: Source[T],
        body: Callable[[T], Awaitable[str | None] | str | None],
        *,
        key: Callable[[T], object] | None = None,
        every: int | None = None,
        concurrency: int = 1,
        max_failures: int | None = None,
        total: int | None = None,
        batch: str | None = None,
    ) -> Batch:
        """Run `body` for each item of `source`, and after a crash only for those that were not finished.

        `source` is an iterable, an async iterable, or a callable that takes a Cursor and returns the items
        after it. `body` returns the label of the outcome (None: "done"); if it raises, the item has failed:
        that is kept with its key, and the batch goes on. `key` gives an item's identity, unique in the batch;
        by it a resumed batch sees that its source is still the same. At most `every` items (or `concurrency`,
        if that is more) are finished or in work without being durable: so many may be repeated after a crash.
        `batch` names it; by default batches are numbered in the order in which they are begun.

        Raises TooManyFailures when more than `max_failures` items failed in this run, InputChanged when the
        source is another than at the checkpoint, TypeError for a label that is none, TooLarge for the cursor.
        """
        options = BatchOptions(
            key=key,
            every=every,
            concurrency=concurrency,
            max_failures=max_failures,
            total=known_total(source) if total is None else total,
            batch=batch,
        )
        return await for_each(self._ledger, self._port, source, body, options)

    async def checkpoint(self, state: Any) -> None:
        """Make `state` durable, a JSON value of at most 64 KiB; a later run finds it as `restored`.

        Raises TooLarge, and TypeError for what is no JSON value, such as NaN.
        """
        self._ledger.set_state(state)
        seq = self._ledger.send_checkpoint()
        self._raise_if_stopped()
        before, self._port.attentive = self._port.attentive, True
        try:
            await self._port.durable(seq)
        finally:
            self._port.attentive = before
        self._raise_if_stopped()

    async def progress(
        self, done: int | None = None, total: int | None = None, note: str | None = None
    ) -> None:
        """Say how far the job is; what is None stays as it was. Not durable until the next checkpoint."""
        self._ledger.set_progress(done, total, note)
        self._ledger.send_progress()
        self._raise_if_stopped()
        await anyio.lowlevel.checkpoint()

    async def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a request to stop."""
        self._raise_if_stopped()
        before, self._port.attentive = self._port.attentive, True
        try:
            with anyio.move_on_after(seconds):
                await self._port.stopped()
        finally:
            self._port.attentive = before
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._port.stop_reason is not None:
            raise Stopped(self._port.stop_reason)
