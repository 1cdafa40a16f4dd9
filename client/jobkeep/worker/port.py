"""What the context of a job sees of its worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import anyio

from jobkeep.errors import RunLeaseLost
from jobkeep.protocol.worker import (
    CheckpointParameters,
    FailedKeysParameters,
    FailedKeysReply,
    ItemKey,
    ProgressParameters,
    RunOrder,
)
from jobkeep.sdk.crew import Recruit
from jobkeep.sdk.port import CheckpointContent, ProgressContent
from jobkeep.worker.awaited import Query
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.hands import Hands
from jobkeep.worker.messenger import Messenger
from jobkeep.worker.steps import WorkerSteps

PROGRESS_S: Final = 0.25
PAGE: Final = 1000


class WorkerPort:
    """Implements AsyncPort and BlockingPort for one run. `announce` makes those who wait look again.

    `refused` and `fenced` are set by the thread at the helm: the daemon does not take a report, or not this run.
    """

    def __init__(self, order: RunOrder, messenger: Messenger) -> None:
        self.stop_reason: str | None = None
        self.durable_seq = order.checkpoint_seq
        self.attentive = False
        self.closing: list[Callable[[], None]] = []
        self.recruit: Recruit = lambda function, most: Hands(function, most, self.announce)
        self.fenced = False
        self.refused: Exception | None = None
        self.progress_at: float | None = None  # when what was held back is to be sent
        self.doorbell: Doorbell | None = None  # of the event loop, if the job has one
        self.steps = WorkerSteps(order, messenger, self.announce, self.raise_if_bad)
        self._run = order.run
        self._fence = order.fence
        self._seq = order.checkpoint_seq
        self._messenger = messenger
        self._news: threading.Condition | None = None  # once a plain function has waited
        self._changed: anyio.Event | None = None
        self._waiting = 0
        self._held_back: ProgressContent | None = None
        self._progress_sent = 0.0

    # For both kinds of context

    def send_checkpoint(self, content: CheckpointContent) -> int:
        """Send it. Raises what an earlier checkpoint was refused with, and RunLeaseLost."""
        self._messenger.look()
        self.raise_if_bad()
        self._seq += 1
        self._held_back = self.progress_at = None
        self._messenger.checkpoint(
            CheckpointParameters(
                run=self._run,
                fence=self._fence,
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

    def raise_if_bad(self) -> None:
        """The lease is lost, or the daemon has refused something."""
        if self.fenced:
            raise RunLeaseLost
        if self.refused is not None:
            raise self.refused

    def is_durable(self, seq: int) -> bool:
        if self.durable_seq >= seq:
            return True
        self.raise_if_bad()
        return False

    def send_progress(self, content: ProgressContent) -> None:
        """Send it, or hold it back until a quarter of a second has passed since the last one."""
        due = self._progress_sent + PROGRESS_S
        if time.monotonic() >= due:
            self._send_progress(content)
            return
        first, self._held_back = self._held_back is None, content
        if first:
            self.progress_at = due
            self._messenger.wake()

    # For an async function

    async def until(self, ready: Callable[[], bool]) -> None:
        self._waiting += 1
        try:
            while not ready():
                self._messenger.untend()
                if self._changed is None:
                    self._changed = anyio.Event()
                await self._changed.wait()
        finally:
            self._waiting -= 1

    async def durable(self, seq: int) -> None:
        await self.until(lambda: self.is_durable(seq))

    async def failed_keys(self) -> list[ItemKey]:
        pages = _Pages()
        while pages.more:
            page = self._ask(pages.after)
            await self.until(lambda page=page: self._answered(page))  # type: ignore[misc]
            pages.add(page[0])
        return pages.keys

    # For a plain function

    def durable_blocking(self, seq: int) -> None:
        self.until_blocking(lambda: self.is_durable(seq))

    def until_blocking(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        if (news := self._news) is None:
            news = self._news = threading.Condition()
        with news:
            if ready():
                return True
            self._messenger.untend()
            return news.wait_for(ready, timeout_s)

    def failed_keys_blocking(self) -> list[ItemKey]:
        pages = _Pages()
        while pages.more:
            page = self._ask(pages.after)
            self.until_blocking(lambda page=page: self._answered(page))  # type: ignore[misc]
            pages.add(page[0])
        return pages.keys

    # For the thread at the helm

    def announce(self) -> None:
        """Something that may be waited for has changed."""
        news = self._news
        if news is not None:  # else who waits will look at the state after this
            with news:
                news.notify_all()
        doorbell = self.doorbell
        if self._waiting and doorbell is not None:  # counted before the state is looked at
            doorbell.ring(self._pulse)

    def send_held_back(self, now: float) -> None:
        """Send the progress that has been waiting for its time."""
        if self.progress_at is not None and now >= self.progress_at:
            self.progress_at = None
            content, self._held_back = self._held_back, None
            if content is not None:
                self._send_progress(content)

    # Inside

    def _pulse(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    def _ask(self, after: int) -> list[Any]:
        """A list into which the answer will be put."""
        page: list[Any] = []

        def answer(reply: FailedKeysReply | Exception) -> None:
            page.append(reply if isinstance(reply, Exception) else reply.keys)
            self.announce()

        parameters = FailedKeysParameters(run=self._run, fence=self._fence, after=after, limit=PAGE)
        self._messenger.ask(Query("FailedKeys", parameters, self._run, answer))
        return page

    def _answered(self, page: list[Any]) -> bool:
        if not page:
            self.raise_if_bad()
            return False
        if isinstance(page[0], Exception):
            raise page[0]
        return True

    def _send_progress(self, content: ProgressContent) -> None:
        self._progress_sent = time.monotonic()
        self._messenger.progress(
            ProgressParameters(
                run=self._run,
                fence=self._fence,
                done=content.done,
                total=content.total,
                note=content.note,
                tallies=content.tallies,
            )
        )


class _Pages:
    """Puts pages together."""

    def __init__(self) -> None:
        self.keys: list[ItemKey] = []
        self.more = True

    @property
    def after(self) -> int:
        return len(self.keys)

    def add(self, page: list[ItemKey]) -> None:
        self.keys += page
        self.more = len(page) >= PAGE
