"""The context of an async function: progress, checkpoints, batches and the request to stop."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.children import Child, Children
from jobkeep.sdk.foreach import for_each
from jobkeep.sdk.ledger import Ledger
from jobkeep.sdk.mapping import map_items
from jobkeep.sdk.options import Batch, BatchOptions
from jobkeep.sdk.port import AsyncPort
from jobkeep.sdk.source import Cursor, Source, known_total
from jobkeep.sdk.steps import Steps
from jobkeep.sdk.stops import Stops

T = TypeVar("T")


class JobContext:
    """What an async job function gets as its first parameter, if that is named `ctx` or annotated so.

    `restored` is the state of the last checkpoint (None: there was none), `lock_token` the number of the job's hold on
    its lock, which rises with each holder (None: it has no lock). Every method raises Stopped, which is not an
    Exception, once the run was asked to stop; for a drain only `checkpoint` and `step` do, `for_each` between two
    items, and `sleep` outside of them in a job that has a checkpoint or a step behind it.
    """

    def __init__(self, order: RunOrder, port: AsyncPort) -> None:
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
        """Why the run should stop: cancelled, restart, drain, timeout or lease lost; None as long as it should not.

        Who looks at it is trusted to end by itself: only after two seconds the function is cancelled, and for a
        drain never.
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
        self._steps.check_batch()
        options = BatchOptions(
            key=key,
            every=every,
            concurrency=concurrency,
            max_failures=max_failures,
            total=known_total(source) if total is None else total,
            batch=batch,
        )
        with self._stops.batch():
            return await for_each(self._ledger, self._port, source, body, options)

    async def map(
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
        """Run `function` for each item in other processes, and after a crash only for those that were not finished.

        They are the workers of the cluster where the job itself runs on one (`on="dask:NAME"`), else processes beside
        this one, as many as there are processors, or `concurrency`. Function and items go there: the function is a
        plain one that can be imported, and items can be pickled. Everything else is as in for_each, but `every`: it is
        50 for each process where nothing is said, and not more items are in work or finished without being durable.
        An item whose process dies has failed.
        """
        self._steps.check_batch()
        total = known_total(items) if total is None else total
        options = BatchOptions(key=key, every=every, max_failures=max_failures, total=total, batch=batch)
        with self._stops.batch():
            return await map_items(self._ledger, self._port, items, function, options, concurrency)

    async def checkpoint(self, state: Any) -> None:
        """Make `state` durable, a JSON value of at most 64 KiB; a later run finds it as `restored`.

        Raises TooLarge, and TypeError for what is no JSON value, such as NaN.
        """
        self._ledger.set_state(state)
        seq = self._ledger.send_checkpoint()
        self._stops.check()
        with self._attentive():
            await self._port.durable(seq)
        self._stops.check_at_checkpoint()

    async def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """The result of `fn(*args)`, which is stored: a later run gets it without running `fn`.

        `fn` is async, or a plain function, which is run in a thread. Its result is a JSON value of at most 256 KiB; it
        comes back as JSON has it (a tuple as a list) in the first run, too. Nothing is stored if `fn` raises. Steps are
        told apart by their order, so that a name may come again: a run has to take those that have results in the same
        order, by the same names. They come one after the other, and not within a batch.

        Raises StepsChanged, TooLarge, TypeError for what is no JSON value, and what `fn` raises.
        """
        port = self._port
        with self._steps.begin(name) as step:
            self._stops.check()
            if step.is_stored:
                fetched = port.steps.ask(step.ordinal)
                await port.until(lambda: fetched() is not None)
                return step.found(fetched())
            result = step.keep(await _result_of(fn, args))  # no waiting in between: what is done is sent
            with self._attentive():
                await port.until(lambda: port.steps.is_durable(step.ordinal))
        self._stops.check_at_checkpoint()
        return result

    async def progress(
        self, done: int | None = None, total: int | None = None, note: str | None = None
    ) -> None:
        """Say how far the job is; what is None stays as it was. Not durable until the next checkpoint."""
        self._ledger.set_progress(done, total, note)
        self._ledger.send_progress()
        self._stops.check()
        await anyio.lowlevel.checkpoint()

    async def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a request to stop."""
        self._stops.check_in_sleep()
        with self._attentive(), anyio.move_on_after(seconds):
            await self._port.until(lambda: self._stops.in_sleep)
        self._stops.check_in_sleep()

    async def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start a process that ends with the job: `pid`, `await wait()`, `terminate()`, `kill()`, `returncode`.

        Its output is the run's, its input is empty. When the function has ended in whatever way, it gets SIGTERM, and
        SIGKILL two seconds later; if the worker is killed, the daemon sees to it. Raises OSError as subprocess does.
        """
        self._stops.check()
        child = Child(argv, cwd, env)
        self._children.add(child)
        await anyio.lowlevel.checkpoint()
        return child

    @contextmanager
    def _attentive(self) -> Iterator[None]:
        """We look at `stop_reason` ourselves."""
        before, self._port.attentive = self._port.attentive, True
        try:
            yield
        finally:
            self._port.attentive = before


async def _result_of(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if inspect.iscoroutinefunction(fn):
        return await fn(*args)
    (result,) = await anyio.to_thread.run_sync(lambda: (fn(*args),))  # trio refuses what is awaitable by itself
    return await result if inspect.isawaitable(result) else result
