"""One run at its seat: start it, time it, stop it, wait for its end."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from msgspec import Struct

from jobkeepd.core.ending import RunEnd
from jobkeepd.core.model import Identity, Peer, RunRef
from jobkeepd.core.signalled import Signalled
from jobkeepd.core.wording import in_words
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Launch, Seat

# After SIGTERM a worker gets this long at most before SIGKILL: it was asked nicely before.
LAST_CHANCE = 4.0


class Timeout(Struct, frozen=True):
    """Of one run, in seconds: the whole, and what is left of it."""

    limit: float
    left: float


class Stop(Struct, frozen=True):
    """Why a run is to end: a word for the run itself, a sentence for the record, and who wants it."""

    word: str
    sentence: str
    by: Peer | None = None


class Attempt:
    """One run from its start to its end. `what` says what it is; `audit` puts a signal on record."""

    def __init__(
        self, seat: Seat, ref: RunRef, grace: float, timeout: Timeout | None, what: str,
        audit: Callable[[Signalled], None],
    ) -> None:  # fmt: skip
        self.seat = seat
        self._what = what
        self._audit = audit
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
        if self._stopping:
            return  # somebody was faster, and his wish counts
        self.timed_out = timeout.limit
        await self.stop(Stop("timeout", f"it has run for longer than its timeout of {in_words(timeout.limit)}"))

    @property
    def stopping(self) -> bool:
        """Somebody wants its end, and gets it."""
        return self._stopping

    async def interrupt(self) -> None:
        """Ask a function to end at its next checkpoint. It may never: nothing follows."""
        if not (self._ended.is_set or self._stopping):
            await self.seat.ask(self._ref, "drain")

    async def stop(self, why: Stop, force: bool = False) -> None:
        """Cooperative, then SIGTERM, then SIGKILL of the whole tree; `force` goes to the last at once."""
        if self._ended.is_set:  # the seat is somebody else's by now
            return
        already, self._stopping = self._stopping, True
        if force:
            if self.seat.need.on is not None:  # a bridge ends what it carries elsewhere, once it knows that it is to
                await self.seat.ask(self._ref, why.word)
            await self._kill(why)
            return
        if already:
            return
        is_function = self.seat.need.is_function
        if not is_function:  # a command has no other way to hear of it than the signal
            self._put_on_record(why, 15, "group")
        await self.seat.ask(self._ref, why.word)
        if await self._ends_within(self._grace):
            return
        if is_function:
            self._put_on_record(why, 15, "group")
            await self.seat.terminate(self._ref)
            if await self._ends_within(min(self._grace, LAST_CHANCE)):
                return
        await self._kill(why)

    async def _kill(self, why: Stop) -> None:
        self._put_on_record(why, 9, "tree")
        await self.seat.kill(self._ref)

    def _put_on_record(self, why: Stop, number: int, scope: str) -> None:
        """Before it is sent: what follows may take until a slot is heard of again. Without a leader nobody gets it."""
        who, ref = self.seat.leader(self._ref), self._ref
        if who is not None:
            evidence = ("record", "slot")
            said = Signalled(
                who, (number,), why.sentence, evidence, self._what, scope, job=ref.job, run=ref.number, by=why.by
            )
            self._audit(said)

    async def _ends_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set
