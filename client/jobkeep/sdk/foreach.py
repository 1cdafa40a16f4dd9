"""Going through a batch in an async function: one item at a time in a tight loop, or several at once."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from inspect import isawaitable
from types import CoroutineType
from typing import Any, Final

import anyio
from anyio.lowlevel import checkpoint

from jobkeep.sdk.batch import PROGRESS_S, BatchWork
from jobkeep.sdk.ledger import Ledger
from jobkeep.sdk.options import Batch, BatchOptions
from jobkeep.sdk.port import AsyncPort, stop_of
from jobkeep.sdk.source import KEY_LIMIT, Skipper, Source, checked_key, open_source

Body = Callable[[Any], Awaitable[str | None] | str | None]
Advance = Callable[[], Awaitable[Any]]  # the next item, or _END
_END: Final = object()
CLOSE_S: Final = 2.0


async def for_each(ledger: Ledger, port: AsyncPort, source: Source[Any], body: Body, options: BatchOptions) -> Batch:
    """Run `body` for the items that an earlier run has not finished; see JobContext.for_each."""
    work = BatchWork(ledger, port, options)
    if work.needs_failed_keys:
        work.know_failed(await port.failed_keys())
    if work.settled:
        return work.result()
    before, port.attentive = port.attentive, True
    failure: BaseException | None = None
    try:
        await _Pass(port, work, body, options.concurrency).run(source)
    except BaseExceptionGroup as group:  # of the task groups here: a job sees its own exception
        failure = _leaf(group)
    finally:
        port.attentive = before
    if failure is not None:
        raise failure
    return work.result()


class _Pass:
    """One pass over the source."""

    def __init__(self, port: AsyncPort, work: BatchWork, body: Body, concurrency: int) -> None:
        self._port = port
        self._work = work
        self._body = body
        self._concurrency = concurrency
        self._turn = anyio.Lock(fast_acquire=True)
        self._fetching = False  # waiting for the source, which may take for ever
        self._used_up = False

    async def run(self, source: Source[Any]) -> None:
        """Until the source is used up. Raises Stopped, with all that is finished durable."""
        work = self._work
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_reporting, group.cancel_scope, name="for_each reports")
                await self._go(source)
                group.cancel_scope.cancel()
        except BaseException:
            work.flush()  # no waiting here: what the run reports next comes after it
            raise
        if self._used_up:
            await self._port.durable(work.end())
            return
        await self._port.durable(work.flush())
        raise stop_of(self._port)

    async def _keep_reporting(self, scope: anyio.CancelScope) -> None:
        """Finished items become durable within a second, however long the next one takes to come or to be done.

        A source that is waited for does not delay a stop, when no item is in work.
        """
        while True:
            await anyio.sleep(PROGRESS_S)
            self._work.report()
            if self._fetching and not self._work.in_flight and self._port.stop_reason is not None:
                scope.cancel()

    async def _go(self, source: Source[Any]) -> None:
        work = self._work
        items, to_skip = open_source(source, work.cursor())
        skipper = Skipper(work.name, work.cursor(), work.key)
        if isinstance(items, AsyncIterable):
            stream = aiter(items)
            try:
                if to_skip:
                    await skipper.skip_async(stream)
                await (self._several(lambda: anext(stream, _END)) if self._many else self._stream(stream))
            finally:
                await _close(stream)
            return
        iterator = iter(items)
        if to_skip:
            skipper.skip(iterator)
        if self._many:
            await self._several(_at_once(iterator))
        else:
            self._used_up = await self._one_by_one(iterator)

    @property
    def _many(self) -> bool:
        return self._concurrency > 1 or not self._work.straight

    async def _stream(self, items: AsyncIterator[Any]) -> None:
        self._fetching = True
        async for item in items:
            self._fetching = False
            if not await self._one_by_one((item,)):
                return
            self._fetching = True
        self._fetching, self._used_up = False, True

    async def _one_by_one(self, items: Iterable[Any]) -> bool:
        """Whether it came to their end. The hot loop: local names only, no call per item but the body's."""
        work, port, body, key = self._work, self._port, self._body, self._work.key
        clock, tallies = work.clock, work.tallies
        ordinal, limit, due = work.count, work.limit, work.due
        name: str | None = None
        work.number_keys()
        for item in items:
            if port.stop_reason is not None:
                return False
            if key is not None:
                found = key(item)
                name = found if type(found) is str and len(found) <= KEY_LIMIT else checked_key(found, ordinal)
            try:
                label: Any = body(item)
                if type(label) is CoroutineType or (type(label) is not str and isawaitable(label)):
                    label = await label
            except Exception as error:  # noqa: BLE001 - whatever an item raises is its outcome
                work.put_on_record(ordinal, str(ordinal) if name is None else name, error)
                work.accounted += 1
                limit = ordinal
            else:
                if label is not None:
                    try:
                        tallies[label] += 1
                    except (KeyError, TypeError):
                        work.add_label(label)
                        tallies[label] += 1
                    work.accounted += 1
            work.count = ordinal = ordinal + 1
            if key is not None:
                work.last = name
            if ordinal >= limit or clock() >= due:
                await self._report()
                limit, due = work.limit, work.due
        return True

    async def _report(self) -> None:
        work = self._work
        work.check_failures()
        work.report()
        while work.full:
            await self._port.durable(work.make_room())
        await checkpoint()  # a body that never waits must not starve the loop

    async def _several(self, advance: Advance) -> None:
        """Up to `concurrency` tasks take items in turn."""
        async with anyio.create_task_group() as group:
            for number in range(self._concurrency):
                group.start_soon(self._pull, advance, name=f"for_each {number}")

    async def _pull(self, advance: Advance) -> None:
        work = self._work
        while True:
            async with self._turn:
                taken = await self._take(advance)
            if taken is None:
                return
            ordinal, name, item = taken
            try:
                label: Any = self._body(item)
                if isawaitable(label):
                    label = await label
            except Exception as error:  # noqa: BLE001 - whatever an item raises is its outcome
                work.fail(ordinal, name, error)
            else:
                work.finish(ordinal, name, label)
            if work.finished >= work.limit or work.clock() >= work.due:
                work.report()
                await checkpoint()
            work.check_failures()

    async def _take(self, advance: Advance) -> tuple[int, str, Any] | None:
        """The next item to run, once there is room for it; None at the end or at a stop."""
        work, port = self._work, self._port
        while not self._used_up and port.stop_reason is None:
            if work.full:
                await port.durable(work.make_room())
                continue
            self._fetching = True
            try:
                item = await advance()
            finally:
                self._fetching = False
            if item is _END:
                self._used_up = True
            elif admitted := work.admit(item):
                return *admitted, item
        return None


async def _close(stream: AsyncIterator[Any]) -> None:
    """An async generator that is left early must not wait for the garbage collector."""
    if isinstance(stream, AsyncGenerator):
        with anyio.move_on_after(CLOSE_S, shield=True):
            await stream.aclose()


def _at_once(items: Iterator[Any]) -> Advance:
    async def advance() -> Any:
        return next(items, _END)

    return advance


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first
