"""The context of a plain function: the same names as JobContext, without await."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

import msgspec

from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.batch import BatchWork
from jobkeep.sdk.children import BlockingChild, Children
from jobkeep.sdk.ledger import Ledger
from jobkeep.sdk.mapping import map_items_blocking
from jobkeep.sdk.options import Batch, BatchOptions
from jobkeep.sdk.port import BlockingPort, stop_of
from jobkeep.sdk.source import KEY_LIMIT, Cursor, checked_key, known_total, open_plain
from jobkeep.sdk.steps import Steps
from jobkeep.sdk.stops import Stops

T = TypeVar("T")
# Iterators that run no code of the job's.
_CALM: Final = frozenset(type(iter(source)) for source in ([0], (0,), range(1), range(1 << 63)))
_IF_ASYNC: Final = "a plain function cannot go through an async source; make the function async"


class BlockingJobContext:
    """What a plain job function gets as its first parameter, if that is named `ctx` or annotated so.

    `restored` and `lock_token` are as in JobContext. A plain function cannot be cancelled: it has to call a method now
    and then, or to look at `stop_reason`.
    Every method raises Stopped, which is not an Exception, once the run was asked to stop; for a drain only
    `checkpoint` and `step` do, `for_each` between two items, and `sleep` outside of them in a job that has a checkpoint
    or a step behind it.
    Not thread-safe.
    """

    def __init__(self, order: RunOrder, port: BlockingPort) -> None:
        self.job_id: str = order.job
        self.run_number: int = order.number
        self.name: str = order.name
        self.lock_token: int | None = order.lock_token
        self.restored: Any = msgspec.json.decode(order.state)
        self._port = port
        self._ledger = Ledger(order, port)
        self._stops = Stops(port)
        self._steps = Steps(order, port, self._stops)
        self._children = Children()
        port.closing.append(self._children.end)

    @property
    def stop_reason(self) -> str | None:
        """Why the run should stop: cancelled, restart, drain, timeout or lease lost; None while it should not."""
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
        self._steps.check_batch()
        total = known_total(source) if total is None else total
        options = BatchOptions(key=key, every=every, max_failures=max_failures, total=total, batch=batch)
        work = BatchWork(self._ledger, self._port, options)
        if work.needs_failed_keys:
            work.know_failed(self._port.failed_keys_blocking())
        if not work.settled:
            with self._stops.batch():
                self._go(work, source, body)
        return work.result()

    def map(
        self,
        function: Callable[[T], str | None],
        items: Iterable[T] | Callable[[Cursor], Iterable[T]],
        *,
        key: Callable[[T], object] | None = None,
        every: int | None = None,
        concurrency: int | None = None,
        max_failures: int | None = None,
        total: int | None = None,
        batch: str | None = None,
    ) -> Batch:
        """Run `function` for each item in other processes; everything else as in JobContext.map."""
        self._steps.check_batch()
        total = known_total(items) if total is None else total
        options = BatchOptions(key=key, every=every, max_failures=max_failures, total=total, batch=batch)
        with self._stops.batch():
            return map_items_blocking(self._ledger, self._port, items, function, options, concurrency)

    def checkpoint(self, state: Any) -> None:
        """Make `state` durable, a JSON value of at most 64 KiB; a later run finds it as `restored`.

        Raises TooLarge, and TypeError for what is no JSON value, such as NaN.
        """
        self._ledger.set_state(state)
        seq = self._ledger.send_checkpoint()
        self._stops.check()
        self._port.durable_blocking(seq)
        self._stops.check_at_checkpoint()

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """The result of `fn(*args)`, which is stored; everything else as in JobContext.step."""
        port, stops = self._port, self._stops
        with self._steps.begin(name) as step:
            stops.check()
            if step.is_stored:
                fetched = port.steps.ask(step.ordinal)
                port.until_blocking(lambda: stops.pressing or fetched() is not None)
                stops.check()
                return step.found(fetched())
            if iscoroutinefunction(fn):
                raise TypeError("a plain function cannot take an async step; make the function async")
            result = step.keep(fn(*args))
            port.until_blocking(lambda: port.steps.is_durable(step.ordinal))
        stops.check_at_checkpoint()
        return result

    def progress(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        """Say how far the job is; what is None stays as it was. Not durable until the next checkpoint."""
        self._ledger.set_progress(done, total, note)
        self._ledger.send_progress()
        self._stops.check()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a request to stop."""
        self._port.until_blocking(lambda: self._stops.in_sleep, seconds)
        self._stops.check_in_sleep()

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> BlockingChild:
        """Start a process that ends with the job; everything else as in JobContext.spawn."""
        self._stops.check()
        child = BlockingChild(argv, cwd, env, self._stops)
        self._children.add(child)
        return child

    def _go(self, work: BatchWork, source: Any, body: Callable[[Any], str | None]) -> None:
        try:
            items = open_plain(source, work.name, work.cursor(), work.key, _IF_ASYNC)
            used_up = self._all(work, items, body)
        except BaseException:
            work.flush()
            raise
        if used_up:
            self._port.durable_blocking(work.end())
            return
        self._port.durable_blocking(work.flush())
        raise stop_of(self._port)

    def _all(self, work: BatchWork, items: Iterator[Any], body: Callable[[Any], str | None]) -> bool:
        """Whether it came to their end."""
        items = items if type(items) in _CALM else self._watched(items)
        return (self._straight if work.straight else self._picked)(work, items, body)

    def _watched(self, items: Iterator[Any]) -> Iterator[Any]:
        """The same items; while the next one is waited for, no item is in work."""
        stops = self._stops
        try:
            stops.in_source = True
            for item in items:
                stops.in_source = False
                yield item
                stops.in_source = True
        finally:
            stops.in_source = False

    def _straight(self, work: BatchWork, items: Iterator[Any], body: Callable[[Any], str | None]) -> bool:
        """Every item, in order. The hot loop: local names only, no call per item but the body's."""
        port, key = self._port, work.key
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
                self._report(work)
                limit, due = work.limit, work.due
        return True

    def _picked(self, work: BatchWork, items: Iterator[Any], body: Callable[[Any], str | None]) -> bool:
        """Some of the items, or those that are missing between others."""
        for item in items:
            if self._port.stop_reason is not None:
                return False
            if (admitted := work.admit(item)) is not None:
                ordinal, name = admitted
                try:
                    label = body(item)
                except Exception as error:  # noqa: BLE001 - whatever an item raises is its outcome
                    work.fail(ordinal, name, error)
                else:
                    work.finish(ordinal, name, label)
                if work.finished >= work.limit or work.clock() >= work.due:
                    self._report(work)
                work.check_failures()
        return True

    def _report(self, work: BatchWork) -> None:
        work.check_failures()
        work.report()
        while work.full:
            self._port.durable_blocking(work.make_room())
