"""Processes of the host: in virtual time they live, can be stopped and killed, and do nothing while stopped."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import trio

from jobkeepd.core.liveness import ProcessState
from jobkeepd.core.model import Identity

Program = Callable[["Process"], Awaitable[int]]  # -> exit code


class Process:
    """`deaf` to SIGTERM, if it wants; nobody is to SIGKILL."""

    def __init__(self, identity: Identity, deaf: bool) -> None:
        self.identity = identity
        self.deaf = deaf
        self.status: int | None = None  # raw wait status, once it has ended
        self.ended = trio.Event()
        self.stopped = False
        self._signal = 0  # what is going to end it
        self._continued = trio.Event()
        self._scope = trio.CancelScope()

    async def live(self, program: Program) -> None:
        """Run the program to its end, or until a signal ends it."""
        code = 0
        with self._scope:
            code = await program(self)
        self.status = self._signal or code << 8
        self.ended.set()

    @property
    def alive(self) -> bool:
        return self.status is None

    @property
    def state(self) -> ProcessState | None:
        if not self.alive:
            return None
        return "stopped" if self.stopped else "running"

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)
        await self.awake()

    async def awake(self) -> None:
        """Until it is not stopped."""
        while self.stopped:
            await self._continued.wait()

    async def until(self, event: trio.Event) -> None:
        await event.wait()
        await self.awake()

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self._continued = trio.Event()

    def resume(self) -> None:
        self.stopped = False
        self._continued.set()
        if self._signal and self.alive:
            self._scope.cancel()

    def signal(self, number: int) -> None:
        """SIGTERM waits until a stopped process goes on; SIGKILL does not."""
        if not self.alive or (number == signal.SIGTERM and self.deaf):
            return
        self._signal = self._signal or int(number)
        if number == signal.SIGKILL:
            self._signal = int(number)
        if number == signal.SIGKILL or not self.stopped:
            self._scope.cancel()
