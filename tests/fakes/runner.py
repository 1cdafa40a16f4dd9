"""A runner whose seats do what the test says, in virtual time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping

import anyio
import anyio.lowlevel

from jobkeepd.core.admission import Need
from jobkeepd.core.ending import Exited, NeverSent, RunEnd
from jobkeepd.core.liveness import Look, Signs
from jobkeepd.core.model import Exit, Identity, RunRef
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import Launch

BOOT = "boot-1"


class FakeClock:
    """Both clocks run with the event loop's; that of the wall may be set."""

    def __init__(self) -> None:
        self._set = 1_000_000.0

    def jump(self, seconds: float) -> None:
        self._set += seconds

    def now(self) -> float:
        return self._set + anyio.current_time()

    def monotonic(self) -> float:
        return anyio.current_time()


class FakeProcesses:
    """Processes of a host that live until the test says otherwise, or whom nobody can see."""

    def __init__(self) -> None:
        self._deaths: dict[int, anyio.Event] = {}
        self.hidden: set[int] = set()

    def _death(self, pid: int) -> anyio.Event:
        return self._deaths.setdefault(pid, anyio.Event())

    def die(self, pid: int) -> None:
        self._death(pid).set()

    def identify(self, pid: int) -> Identity | None:
        return None if self._death(pid).is_set() else Identity(BOOT, pid, pid * 10)

    def alive(self, who: Identity) -> bool | None:
        return None if who.pid in self.hidden else not self._death(who.pid).is_set()

    async def ended(self, who: Identity) -> None:
        await self._death(who.pid).wait()


class NoStragglers:
    """Nobody is left of any run. The real one looks in a thread, for which virtual time does not wait."""

    async def end(self, cookie: str, grace: float, run: str | None = None, slot: str | None = None) -> None:
        await anyio.lowlevel.checkpoint()


class FakeSeat:
    """Runs a job for `runner.duration`; obeys `ask` unless the test makes it deaf."""

    def __init__(self, runner: FakeRunner, name: str, need: Need) -> None:
        self._runner = runner
        self.name = name
        self.need = need
        self.usable = True
        self.heard: list[str] = []
        self._over = anyio.Event()
        self._terminated = False
        self.signs: Signs | None = None  # of its run
        self.seen = Look(process="running")  # what the kernel says of its run
        self.fenced = False

    def finish(self) -> None:
        """Its run ends by itself, now."""
        self._over.set()

    async def run(self, launch: Launch, started: Callable[[Identity | None], None]) -> RunEnd:
        runner = self._runner
        if not self.usable:
            return NeverSent(0.0)
        self._over = anyio.Event()
        self._terminated = False
        self.heard = []
        self.signs, self.fenced = launch.signs, False
        started(runner.leader_of(launch.job.id))
        runner.note_start(launch.job.id)
        try:
            with anyio.move_on_after(runner.durations.get(launch.job.id, runner.duration)):
                await self._over.wait()
        finally:
            runner.live[launch.job.id] -= 1
        return runner.end(launch, Exit(15 if self._terminated else 0, 1.0), self._terminated)

    async def rejoin(self, launch: Launch) -> RunEnd:
        return await self.run(launch, lambda _: None)

    def settle(self, run: RunRef) -> None:
        self._runner.settled.append(run.id)

    def _hear(self, word: str) -> None:
        self.heard.append(word)
        if word not in self._runner.deaf_to:
            self._terminated = True
            self._over.set()

    async def ask(self, run: RunRef, reason: str) -> None:
        self._runner.reasons.setdefault(run.job, []).append(reason)
        self._hear("ask")

    def look(self, run: RunRef) -> Look:
        return self.seen

    def leader(self, run: RunRef) -> Identity | None:
        return Identity(BOOT, 4711, 7, 9)

    def fence(self, run: RunRef) -> bool:
        self.fenced = True
        return True

    async def terminate(self, run: RunRef) -> None:
        self._hear("terminate")

    async def kill(self, run: RunRef) -> None:
        self._hear("kill")

    async def retire(self) -> None:
        self.usable = False


class FakeRunner:
    """Counts what runs at once, and remembers the order of starts."""

    def __init__(self) -> None:
        self.duration = 1.0
        self.durations: dict[str, float] = {}
        self.deaf_to: set[str] = set()
        self.reasons: dict[str, list[str]] = {}  # by job: why it was asked to stop
        self.refuse: StartFailed | None = None
        self.start_delay = 0.0  # of a new seat
        self.started: list[str] = []
        self.settled: list[str] = []
        self.seats: list[FakeSeat] = []
        self.live: Counter[str] = Counter()
        self.peak = 0
        self._idle: list[FakeSeat] = []
        self._numbers = itertools.count(1)
        self.has_leaders = False
        self.leaders: dict[str, int] = {}  # job -> pid of its latest run
        self._pids = itertools.count(9001)

    def leader_of(self, job: str) -> Identity | None:
        """Who runs it; a process that is known only where the test wants such."""
        if not self.has_leaders:
            return None
        pid = self.leaders[job] = next(self._pids)
        return Identity(BOOT, pid, pid * 10)

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
