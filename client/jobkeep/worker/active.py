"""One run under way: the port of its context, and the way a request to stop reaches it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import anyio
from anyio.from_thread import BlockingPortal

from jobkeep.errors import Stopped
from jobkeep.protocol.worker import (
    BeatParameters,
    CheckpointParameters,
    FailedKeysParameters,
    ItemKey,
    ProgressParameters,
    RunOrder,
)
from jobkeep.sdk.port import CheckpointContent, ProgressContent
from jobkeep.worker.courier import Courier

LEASE_LOST: Final = "lease lost"
PROGRESS_S: Final = 0.25
PAGE: Final = 1000


class ActiveRun:
    """Implements AsyncPort and BlockingPort. The main thread runs the job, the link thread brings news."""

    def __init__(self, order: RunOrder, courier: Courier, attention_s: float) -> None:
        self.order = order
        self.stop_reason: str | None = None
        self.durable_seq = order.checkpoint_seq
        self.attentive = False
        self.fenced = False
        self.ended = False
        self.ticks: int | None = None
        self.cancel_at: float | None = None
        self.progress_at: float | None = None  # when what was held back is to be sent
        self._courier = courier
        self._attention_s = attention_s
        self._seq = order.checkpoint_seq
        self._refused: Exception | None = None
        self._news = threading.Condition()
        self._portal: BlockingPortal | None = None
        self._scope: anyio.CancelScope | None = None
        self._changed: anyio.Event | None = None
        self._waiting = 0
        self._tick_posted = False
        self._held_back: ProgressContent | None = None
        self._progress_sent = 0.0

    # The port of its context: main thread

    def send_checkpoint(self, content: CheckpointContent) -> int:
        """Send it. Raises what an earlier checkpoint was refused with, and Stopped once the lease is lost."""
        self._raise_if_bad()
        self._seq += 1
        self._held_back = self.progress_at = None
        self._courier.checkpoint(
            CheckpointParameters(
                run=self.order.run,
                fence=self.order.fence,
                seq=self._seq,
                cursor=content.cursor,
                state=content.state,
                done=content.done,
                total=content.total,
                note=content.note,
                tallies=content.tallies,
                failed=content.failed,
                resolved=content.resolved,
            )
        )
        return self._seq

    def send_progress(self, content: ProgressContent) -> None:
        """Send it, or hold it back until a quarter of a second has passed since the last one."""
        due = self._progress_sent + PROGRESS_S
        if time.monotonic() >= due:
            self._send_progress(content)
            return
        first, self._held_back = self._held_back is None, content
        if first:
            self.progress_at = due
            self._courier.wake()

    async def durable(self, seq: int) -> None:
        await self._until(lambda: self._is_durable(seq))

    async def stopped(self) -> None:
        await self._until(lambda: self.stop_reason is not None)

    async def failed_keys(self) -> list[ItemKey]:
        keys: list[ItemKey] = []
        while True:
            page = self._ask(len(keys))
            await self._until(lambda page=page: self._answered(page))  # type: ignore[misc]
            keys += page[0]
            if len(page[0]) < PAGE:
                return keys

    def durable_blocking(self, seq: int) -> None:
        self._wait(lambda: self._is_durable(seq))

    def stopped_blocking(self, timeout_s: float) -> bool:
        return self._wait(lambda: self.stop_reason is not None, timeout_s)

    def failed_keys_blocking(self) -> list[ItemKey]:
        keys: list[ItemKey] = []
        while True:
            page = self._ask(len(keys))
            self._wait(lambda page=page: self._answered(page))  # type: ignore[misc]
            keys += page[0]
            if len(page[0]) < PAGE:
                return keys

    # Where it runs: main thread

    def enter_loop(self, portal: BlockingPortal, scope: anyio.CancelScope) -> None:
        """The job runs in this scope from now on."""
        self._changed = anyio.Event()
        self.ticks = 0
        self._scope = scope
        self._portal = portal
        if self.stop_reason is not None:
            scope.cancel()

    def leave(self) -> None:
        """The job has ended: nothing can stop it any more."""
        self.ended = True
        self._portal = None
        self.cancel_at = self.progress_at = None

    # News: link thread

    def ask_to_stop(self, reason: str, now: float) -> None:
        """Let the job know; cancel it at once, or later if it looks at stop_reason by itself."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._announce()
            self.cancel_at = now + self._attention_s if self.attentive else now

    def fence(self) -> None:
        """The lease is lost: end the job now, and report nothing more."""
        self.fenced = True
        self.stop_reason = LEASE_LOST
        self._announce()
        self._cancel()

    def stored(self, seq: int) -> None:
        """Checkpoints up to `seq` are durable."""
        if seq > self.durable_seq:
            self.durable_seq = seq
            self._announce()

    def refuse(self, error: Exception) -> None:
        """The daemon does not take a checkpoint: the job fails with that at its next one."""
        self._refused = error
        self._announce()

    def work_off(self, now: float) -> None:
        """Do what is due."""
        if self.cancel_at is not None and now >= self.cancel_at:
            self.cancel_at = None if self._cancel() else now + 0.05
        if self.progress_at is not None and now >= self.progress_at:
            self.progress_at = None
            content, self._held_back = self._held_back, None
            if content is not None and not self.ended:
                self._send_progress(content)

    def beat(self) -> None:
        """Report a sign of life, and ask the loop for one: the ticks of a blocked loop stay the same."""
        self._courier.beat(BeatParameters(run=self.order.run, fence=self.order.fence, ticks=self.ticks))
        if self.ticks is not None and not self._tick_posted:
            self._tick_posted = self._post(self._tick)

    # Inside

    def _tick(self) -> None:
        self._tick_posted = False
        self.ticks = (self.ticks or 0) + 1

    def _cancel(self) -> bool:
        """Whether there is nothing more to be done about it."""
        return self._scope is None or self._post(self._cancel_scope) or self.ended

    def _cancel_scope(self) -> None:
        if self._scope is not None and not self.ended:
            self._scope.cancel()

    def _post(self, function: Callable[[], object]) -> bool:
        """Call it in the loop; False where there is none."""
        portal = self._portal
        if portal is not None:
            with suppress(RuntimeError):  # the loop has ended in the meantime
                portal.start_task_soon(function)
                return True
        return False

    def _announce(self) -> None:
        with self._news:
            self._news.notify_all()
        if self._waiting:  # raised before the state is looked at, so no change is missed
            self._post(self._pulse)

    def _pulse(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        if changed is not None:
            changed.set()

    async def _until(self, ready: Callable[[], bool]) -> None:
        self._waiting += 1
        try:
            while not ready():
                assert self._changed is not None
                await self._changed.wait()
        finally:
            self._waiting -= 1

    def _wait(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        with self._news:
            return self._news.wait_for(ready, timeout_s)

    def _is_durable(self, seq: int) -> bool:
        if self.durable_seq >= seq:
            return True
        self._raise_if_bad()
        return False

    def _raise_if_bad(self) -> None:
        if self.fenced:
            raise Stopped(LEASE_LOST)
        if self._refused is not None:
            raise self._refused

    def _ask(self, after: int) -> list[Any]:
        """A list into which the answer will be put."""
        page: list[Any] = []

        def answer(keys: list[ItemKey] | Exception) -> None:
            page.append(keys)
            self._announce()

        order = self.order
        self._courier.failed_keys(
            FailedKeysParameters(run=order.run, fence=order.fence, after=after, limit=PAGE), answer
        )
        return page

    def _answered(self, page: list[Any]) -> bool:
        if not page:
            self._raise_if_bad()
            return False
        if isinstance(page[0], Exception):
            raise page[0]
        return True

    def _send_progress(self, content: ProgressContent) -> None:
        self._progress_sent = time.monotonic()
        self._courier.progress(
            ProgressParameters(
                run=self.order.run,
                fence=self.order.fence,
                done=content.done,
                total=content.total,
                note=content.note,
                tallies=content.tallies,
            )
        )
