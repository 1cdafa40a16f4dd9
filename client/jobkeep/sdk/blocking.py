"""The context of a plain function: the same names as JobContext, without await."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from jobkeep.errors import Stopped
from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.batch import BatchWork
from jobkeep.sdk.ledger import Ledger
from jobkeep.sdk.options import Batch, BatchOptions
from jobkeep.sdk.port import BlockingPort
from jobkeep.sdk.source import Cursor, Skipper, known_total, open_source

T = TypeVar("T")


class BlockingJobContext:
    """What a plain job function gets as its first parameter, if that is named `ctx` or annotated so.

    A plain function cannot be cancelled: it has to call a method now and then, or to look at `stop_reason`.
    Every method raises Stopped, which is not an Exception, once the run was asked to stop. Not thread-safe.
    """

    def __init__(self, order: RunOrder, port: BlockingPort) -> None:
        self.job_id = order.job
        self.run_number = order.number
        self.name = order.name
        self.restored: Any = msgspec.json.decode(order.state)
        self._port = port
        self._ledger = Ledger(order, port)

    @property
    def stop_reason(self) -> str | None:
        """Why the run should stop: cancelled, restart, drain or timeout; None as long as it should not."""
        return self._port.stop_reason

    def for_each(
        self,
        source: Iterable[T] | Callable[[Cursor], Iterable[T]],
        body: Callable[[T], str | None],
        *,
        key: Callable[[T], object] | None = None,
        every: int | None = None,
        max_failures: int | None = None,
        total: int | None = None,
        batch: str | None = None,
    ) -> Batch:
        """Run `body` for each item of `source`, one at a time; everything else as in JobContext.for_each.

        A finished item is sent at the latest when the next one is finished, if a second has passed by then.
        """
        total = known_total(source) if total is None else total
        options = BatchOptions(key=key, every=every, max_failures=max_failures, total=total, batch=batch)
        work = BatchWork(self._ledger, self._port, options)
        if work.needs_failed_keys:
            work.know_failed(self._port.failed_keys_blocking())
        if not work.settled:
            self._go(work, source, body)
        return work.result()

    def checkpoint(self, state: Any) -> None:
        """Make `state` durable, a JSON value of at most 64 KiB; a later run finds it as `restored`.

        Raises TooLarge, and TypeError for what is no JSON value, such as NaN.
        """
        self._ledger.set_state(state)
        seq = self._ledger.send_checkpoint()
        self._raise_if_stopped()
        self._port.durable_blocking(seq)
        self._raise_if_stopped()

    def progress(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        """Say how far the job is; what is None stays as it was. Not durable until the next checkpoint."""
        self._ledger.set_progress(done, total, note)
        self._ledger.send_progress()
        self._raise_if_stopped()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a request to stop."""
        self._port.stopped_blocking(seconds)
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._port.stop_reason is not None:
            raise Stopped(self._port.stop_reason)

    def _go(self, work: BatchWork, source: Any, body: Callable[[Any], str | None]) -> None:
        try:
            used_up = self._all(work, _begin(work, source), body)
        except BaseException:
            work.flush()
            raise
        if used_up:
            self._port.durable_blocking(work.end())
            return
        self._port.durable_blocking(work.flush())
        raise Stopped(self._port.stop_reason or "stopped")

    def _all(self, work: BatchWork, items: Iterator[Any], body: Callable[[Any], str | None]) -> bool:
        """Whether it came to their end."""
        for item in items:
            if self._port.stop_reason is not None:
                return False
            if (admitted := work.admit(item)) is None:
                continue
            ordinal, name = admitted
            try:
                label = body(item)
            except Exception as error:  # noqa: BLE001 - whatever an item raises is its outcome
                work.fail(ordinal, name, error)
            else:
                work.finish(ordinal, name, label)
            work.check_failures()
            if work.finished >= work.limit or work.clock() >= work.due:
                work.report()
                while work.full:
                    self._port.durable_blocking(work.flush())
        return True


def _begin(work: BatchWork, source: Any) -> Iterator[Any]:
    items, to_skip = open_source(source, work.cursor())
    if isinstance(items, AsyncIterable):
        raise TypeError("a plain function cannot go through an async source; make the function async")
    iterator = iter(items)
    if to_skip:
        Skipper(work.name, work.cursor(), work.key).skip(iterator)
    return iterator
