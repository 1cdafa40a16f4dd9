"""One run under way, as the thread at the helm sees it: how a request to stop reaches it, and its signs of life."""

from __future__ import annotations

import asyncio
from typing import Final

import anyio

from jobkeep.protocol.worker import BeatParameters, RunOrder
from jobkeep.sdk.port import DRAIN, LEASE_LOST
from jobkeep.worker.awaited import Kind
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.messenger import Messenger
from jobkeep.worker.port import WorkerPort

AGAIN_S: Final = 1.0  # until a function that has swallowed its cancellation is cancelled again
RETRY_S: Final = 0.005  # until one that could not be cancelled at that moment is


class ActiveRun:
    """`enter_loop` and `leave` belong to the main thread, which runs the job; the rest to the thread at the helm."""

    def __init__(
        self, order: RunOrder, messenger: Messenger, attention_s: float, port: WorkerPort | None = None
    ) -> None:
        self.order = order
        self.port = port or WorkerPort(order, messenger)
        self.begun = False  # handed to the main thread, which is bound to report its end
        self.ended = False
        self.ticks: int | None = None
        self.cancel_at: float | None = None
        self._messenger = messenger
        self._attention_s = attention_s
        self._scope: anyio.CancelScope | None = None
        self._task: asyncio.Task[object] | None = None
        self._doorbell: Doorbell | None = None
        self._tick_due = False

    @property
    def stop_reason(self) -> str | None:
        return self.port.stop_reason

    @property
    def fenced(self) -> bool:
        return self.port.fenced

    def enter_loop(self, doorbell: Doorbell, scope: anyio.CancelScope) -> None:
        """The job runs in this scope from now on."""
        self.ticks = 0
        self._scope = scope
        self._task = asyncio.current_task()
        self._doorbell = self.port.doorbell = doorbell
        if self.stop_reason not in (None, DRAIN):
            self._cancel_scope()

    def relay(self, doorbell: Doorbell) -> Messenger:
        """The job runs elsewhere: nothing is to be cancelled here, but whoever sees to it hears of all that it would.

        What it reports goes out by the messenger. `ticks` are those of its own loop, set by who hears of them.
        """
        self.port.attentive = True
        self.port.doorbell = doorbell
        return self._messenger

    def leave(self) -> None:
        """The job has ended: nothing can stop it any more. What it has begun ends with it."""
        closing, self.port.closing = self.port.closing, []
        for close in closing:
            close()
        self.ended = True
        self._doorbell = self.port.doorbell = None
        self.cancel_at = self.port.progress_at = None

    def ask_to_stop(self, reason: str, now: float) -> None:
        """Let the job know; cancel it at once, or later if it looks at stop_reason by itself.

        A drain leaves it to the job, and gives way to any other reason that comes later.
        """
        if self.port.stop_reason not in (None, DRAIN):
            return
        self.port.stop_reason = reason
        self.port.announce()
        if reason != DRAIN:
            self.cancel_at = now + self._attention_s if self.port.attentive else now

    def fence(self) -> None:
        """The lease is lost: end the job now, and report nothing more."""
        self.port.fenced = True
        self.port.stop_reason = LEASE_LOST
        self.port.announce()
        self._cancel()

    def stored(self, kind: Kind, number: int) -> None:
        """Checkpoints up to that seq are durable, or steps up to that ordinal."""
        if kind == "step":
            self.port.steps.stored(number)
        else:
            self.port.durable_seq = max(self.port.durable_seq, number)
        self.port.announce()

    def refuse(self, error: Exception) -> None:
        """The daemon does not take a checkpoint or a step: the job fails with that at its next one."""
        self.port.refused = error
        self.port.announce()

    def due(self) -> list[float]:
        """When `work_off` has something to do."""
        return [at for at in (self.cancel_at, self.port.progress_at) if at is not None]

    def work_off(self, now: float) -> None:
        """Do what is due."""
        if self.cancel_at is not None and now >= self.cancel_at:
            self.cancel_at = None
            self._cancel()
        if not self.ended:
            self.port.send_held_back(now)

    def beat(self) -> None:
        """Report a sign of life, and ask the loop for one: the ticks of a blocked loop stay the same."""
        self._messenger.beat(BeatParameters(run=self.order.run, fence=self.order.fence, ticks=self.ticks))
        doorbell = self._doorbell
        if doorbell is not None and not self._tick_due:
            self._tick_due = True
            doorbell.ring(self._tick)

    def _tick(self) -> None:
        self._tick_due = False
        self.ticks = (self.ticks or 0) + 1

    def _cancel(self) -> None:
        """A plain function has no scope; one that is not in its loop yet looks at stop_reason there."""
        doorbell = self._doorbell
        if doorbell is not None:
            doorbell.ring(self._cancel_scope)

    def _cancel_scope(self) -> None:
        """Cancel, and again in a second if it goes on; anyio would cancel it with each turn of the loop."""
        scope, task = self._scope, self._task
        if scope is None or task is None or self.ended:
            return
        before = task.cancelling()
        if scope.cancel_called:
            scope._deliver_cancellation(scope)  # type: ignore[attr-defined] # no public way
        else:
            scope.cancel()
        handle = getattr(scope, "_cancel_handle", None)
        if handle is not None:
            handle.cancel()
        delay = AGAIN_S if task.cancelling() > before else RETRY_S
        asyncio.get_running_loop().call_later(delay, self._cancel_scope)
