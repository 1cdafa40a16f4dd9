"""A map: a batch whose items are spread over other processes, in bundles that take a moment each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias

import anyio
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.sdk.batch import PROGRESS_S, ROWS, BatchWork
from jobkeep.sdk.crew import Crew, Function
from jobkeep.sdk.ledger import Ledger
from jobkeep.sdk.options import Batch, BatchOptions
from jobkeep.sdk.port import DRAIN, LEASE_LOST, AsyncPort, BlockingPort, Port, stop_of
from jobkeep.sdk.source import open_plain

EVERY: Final = 50  # for each member of the crew, where the job says nothing
AHEAD: Final = 2  # bundles for each of them: one in work, one that waits for it
TARGET_S: Final = 0.05  # what a bundle should take
STOP_S: Final = 2.0  # for items in work, at a stop that cannot wait
_IF_ASYNC: Final = "a map goes through a plain source; for an async one there is for_each"

Taken: TypeAlias = tuple[int, str, Any]  # ordinal, key, item


async def map_items(
    ledger: Ledger, port: AsyncPort, source: Any, function: Function, options: BatchOptions, most: int | None
) -> Batch:
    """See JobContext.map."""
    crew, work = _begin(ledger, port, function, options, most)
    before, port.attentive = port.attentive, True
    try:
        if work.needs_failed_keys:
            work.know_failed(await port.failed_keys())
        if work.settled:
            return work.result()
        spread = Spread(port, work, crew)
        for ready in spread.go(source):
            with anyio.move_on_after(PROGRESS_S):
                await port.until(ready)
            await checkpoint()
    except BaseException:
        work.flush()  # no waiting here: what the run reports next comes after it
        raise
    finally:
        port.attentive = before
        crew.end()
    await port.durable(spread.close())
    if not spread.complete:
        raise stop_of(port)
    return work.result()


def map_items_blocking(
    ledger: Ledger, port: BlockingPort, source: Any, function: Function, options: BatchOptions, most: int | None
) -> Batch:
    """See BlockingJobContext.map."""
    crew, work = _begin(ledger, port, function, options, most)
    try:
        if work.needs_failed_keys:
            work.know_failed(port.failed_keys_blocking())
        if work.settled:
            return work.result()
        spread = Spread(port, work, crew)
        for ready in spread.go(source):
            port.until_blocking(ready, PROGRESS_S)
    except BaseException:
        work.flush()
        raise
    finally:
        crew.end()
    port.durable_blocking(spread.close())
    if not spread.complete:
        raise stop_of(port)
    return work.result()


def _begin(
    ledger: Ledger, port: Port, function: Function, options: BatchOptions, most: int | None
) -> tuple[Crew, BatchWork]:
    options.check()
    if most is not None and most < 1:
        raise ValueError("concurrency is at least 1")
    if iscoroutinefunction(function):
        raise TypeError("the function of a map is a plain one; for an async function there is for_each")
    crew = port.recruit(function, most)
    every = options.every or max(ledger.every, EVERY * crew.width)
    return crew, BatchWork(ledger, port, replace(options, every=every, concurrency=AHEAD * crew.width))


class Spread:
    """One pass over the source."""

    def __init__(self, port: Port, work: BatchWork, crew: Crew) -> None:
        self._used_up = False
        self._port = port
        self._work = work
        self._crew = crew
        self._out: dict[int, list[Taken]] = {}  # bundles by number
        self._again: deque[Taken] = deque()  # have come back undone
        self._numbers = 0
        self._size = 1  # of a bundle
        self._largest = min(ROWS // 2, max(1, work.window // (2 * AHEAD * crew.width)))
        self._stop_at: float | None = None

    def go(self, source: Any) -> Iterator[Callable[[], bool]]:
        """Until the source is used up or the run is to stop; yields what is waited for, or for a moment."""
        work, port, crew = self._work, self._port, self._crew
        items = open_plain(source, work.name, work.cursor(), work.key, _IF_ASYNC)
        while True:
            self._take_in()
            if not (stopping := self._is_stopping()):
                self._hand_out(items)
            if self._is_over(stopping):
                return
            work.report()
            seq = work.make_room() if work.full else None
            yield lambda stopping=stopping, seq=seq: (  # type: ignore[misc]
                bool(crew.done) or (port.stop_reason is not None) != stopping
                or (seq is not None and port.is_durable(seq))
            )  # fmt: skip

    def close(self) -> int:
        """Send what is left to be sent; the seq of the checkpoint to wait for."""
        return self._work.end() if self.complete else self._work.flush()

    @property
    def complete(self) -> bool:
        """There is nothing left to do."""
        return self._used_up and not self._out and not self._again

    def _is_stopping(self) -> bool:
        reason = self._port.stop_reason
        if reason is not None and reason != DRAIN and self._stop_at is None:
            self._stop_at = time.monotonic() + (0 if reason == LEASE_LOST else STOP_S)
        return reason is not None

    def _is_over(self, stopping: bool) -> bool:
        if self._out:
            return self._stop_at is not None and time.monotonic() >= self._stop_at
        return stopping or self.complete

    def _hand_out(self, items: Iterator[Any]) -> None:
        while len(self._out) < AHEAD * self._crew.width and self._port.stop_reason is None:
            bundle = self._bundle(items)
            if not bundle:
                return
            self._numbers += 1
            self._out[self._numbers] = bundle
            self._crew.hand_out(self._numbers, [item for _, _, item in bundle])

    def _bundle(self, items: Iterator[Any]) -> list[Taken]:
        """The next items that there is room for; one that has come back goes alone, so that it is seen what it does."""
        if self._again:
            return [self._again.popleft()]
        bundle: list[Taken] = []
        while len(bundle) < self._size and not self._used_up and not self._work.full:
            try:
                item = next(items)
            except StopIteration:
                self._used_up = True
                break
            if admitted := self._work.admit(item):
                bundle.append((*admitted, item))
        return bundle

    def _take_in(self) -> None:
        work = self._work
        while self._crew.done:
            number, done = self._crew.done.popleft()
            if done.broken is not None:
                raise done.broken
            bundle = self._out.pop(number)
            for (ordinal, name, _), (label, error) in zip(bundle, done.outcomes, strict=False):
                if error is None:
                    work.finish(ordinal, name, label)
                else:
                    work.fail(ordinal, name, error)
            rest = bundle[len(done.outcomes) :]
            if done.died is not None and len(bundle) == 1:
                ((ordinal, name, _),) = rest
                work.fail(ordinal, name, ErrorInfo("WorkerDied", done.died))
            else:
                self._again.extend(rest)
            self._learn(done.seconds, len(done.outcomes))
            work.check_failures()
            work.report()

    def _learn(self, seconds: float, count: int) -> None:
        """How large the next bundle should be, if its items take as long as these."""
        if count:
            fitting = int(TARGET_S * count / max(seconds, 1e-6))
            self._size = max(1, min(fitting, 2 * self._size, self._largest))
