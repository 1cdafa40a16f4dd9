"""A runner whose seats do what the test says, in virtual time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping

import anyio

from jobkeepd.core.admission import Need
from jobkeepd.core.ending import Exited, NeverSent, RunEnd
from jobkeepd.core.model import Exit, Identity, RunRef
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import Launch


class FakeClock:
    """Both clocks run with the event loop's."""

    def now(self) -> float:
        return 1_000_000.0 + anyio.current_time()

    def monotonic(self) -> float:
        return anyio.current_time()


class FakeSeat:
    """Runs a job for `runner.duration`; obeys `ask` unless the test makes it deaf."""

    def __init__(self, runner: FakeRunner, name: str, need: Need) -> None:
        self._runner = runner
        self.name = name
        self.need = need
        self.usable = True
        self.heard: list[str] = []
        self._stop = anyio.Event()

    async def run(self, launch: Launch, started: Callable[[Identity | None], None]) -> RunEnd:
        runner = self._runner
        if not self.usable:
            return NeverSent(0.0)
        self._stop = anyio.Event()
        self.heard = []
        started(None)
        runner.note_start(launch.job.id)
        try:
            with anyio.move_on_after(runner.durations.get(launch.job.id, runner.duration)):
                await self._stop.wait()
        finally:
            runner.live[launch.job.id] -= 1
        terminated = self._stop.is_set()
        return runner.end(launch, Exit(15 if terminated else 0, 1.0), terminated)

    async def rejoin(self, launch: Launch) -> RunEnd:
        return await self.run(launch, lambda _: None)

    def settle(self, run: RunRef) -> None:
        self._runner.settled.append(run.id)

    def _hear(self, word: str) -> None:
        self.heard.append(word)
        if word not in self._runner.deaf_to:
            self._stop.set()

    async def ask(self, run: RunRef, reason: str) -> None:
        self._hear("ask")

    async def terminate(self, run: RunRef) -> None:
        self._hear("terminate")

    async def kill(self, run: RunRef) -> None:
        self._hear("kill")

    def departed(self, run: RunRef) -> None:
        """Nothing is kept here."""

    async def retire(self) -> None:
        self.usable = False


class FakeRunner:
    """Counts what runs at once, and remembers the order of starts."""

    def __init__(self) -> None:
        self.duration = 1.0
        self.durations: dict[str, float] = {}
        self.deaf_to: set[str] = set()
        self.refuse: StartFailed | None = None
        self.start_delay = 0.0  # of a new seat
        self.started: list[str] = []
        self.settled: list[str] = []
        self.seats: list[FakeSeat] = []
        self.live: Counter[str] = Counter()
        self.peak = 0
        self._idle: list[FakeSeat] = []
        self._numbers = itertools.count(1)

    def note_start(self, job: str) -> None:
        self.started.append(job)
        self.live[job] += 1
        assert self.live[job] == 1, f"two live runs of {job}"
        self.peak = max(self.peak, sum(self.live.values()))

    def end(self, launch: Launch, exit: Exit, terminated: bool) -> RunEnd:
        """What a run's end looks like; tests replace it."""
        return Exited(exit, terminated)

    async def acquire(self, need: Need, environment: Mapping[str, str]) -> FakeSeat:
        if self.refuse is not None:
            raise self.refuse
        for seat in self._idle:
            if seat.need == need:
                self._idle.remove(seat)
                return seat
        await anyio.sleep(self.start_delay)
        seat = FakeSeat(self, f"seat{next(self._numbers)}", need)
        self.seats.append(seat)
        return seat

    def release(self, seat: FakeSeat) -> None:
        assert seat not in self._idle
        if seat.usable:
            self._idle.append(seat)
