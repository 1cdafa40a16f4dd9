"""One run at its seat: start it, time it, stop it, wait for its end."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from msgspec import Struct

from jobkeepd.core.ending import RunEnd
from jobkeepd.core.model import Identity, RunRef
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Launch, Seat

# After SIGTERM a worker gets this long at most before SIGKILL: it was asked nicely before.
LAST_CHANCE = 4.0


class Timeout(Struct, frozen=True):
    """Of one run, in seconds: the whole, and what is left of it."""

    limit: float
    left: float


class Attempt:
    """One run from its start to its end."""

    def __init__(self, seat: Seat, ref: RunRef, grace: float, timeout: Timeout | None) -> None:
        self.seat = seat
        self._ref = ref
        self.timed_out: float | None = None
        self._grace = grace
        self._timeout = timeout
        self._ended: Latch[None] = Latch()
        self._stopping = False

    async def run(self, launch: Launch, started: Callable[[Identity | None], None], rejoin: bool) -> RunEnd:
        try:
            if self._timeout is None:
                return await self._run(launch, started, rejoin)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._time_out, self._timeout, name=f"timeout of {launch.job.id}")
                end = await self._run(launch, started, rejoin)
                tasks.cancel_scope.cancel()
            return end
        finally:
            self._ended.set(None)

    async def _run(self, launch: Launch, started: Callable[[Identity | None], None], rejoin: bool) -> RunEnd:
        if rejoin:
            return await self.seat.rejoin(launch)
        return await self.seat.run(launch, started)

    async def _time_out(self, timeout: Timeout) -> None:
        await anyio.sleep(timeout.left)
        self.timed_out = timeout.limit
        await self.stop("timeout", force=False)

    async def stop(self, reason: str, force: bool) -> None:
        """Cooperative, then SIGTERM, then SIGKILL of the whole tree; `force` goes to the last at once."""
        if self._ended.is_set:  # the seat is somebody else's by now
            return
        if force:
            await self.seat.kill(self._ref)
            return
        if self._stopping:
            return
        self._stopping = True
        await self.seat.ask(self._ref, reason)
        if await self._ends_within(self._grace):
            return
        if self.seat.need.is_function:
            await self.seat.terminate(self._ref)
            if await self._ends_within(min(self._grace, LAST_CHANCE)):
                return
        await self.seat.kill(self._ref)

    async def _ends_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set
