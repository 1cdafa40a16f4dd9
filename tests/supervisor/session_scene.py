"""A session called `browser` on a stage, with checks and processes that do what the test says."""

from __future__ import annotations

from typing import Any

import anyio

from jobkeepd.core.model import Job, Peer, RunRef
from jobkeepd.core.sessions import Probe
from jobkeepd.runner.base import Target
from jobkeepd.supervisor.session_ports import SessionTools
from jobkeepd.supervisor.sessions import Sessions
from jobkeepd.supervisor.settings import SessionSettings
from jobkeepd.supervisor.supervisor import Hosting
from supervisor.conftest import Stage

ALICE, BOB = Peer(1000, 1000, 501), Peer(1000, 1000, 502)
DAEMON = Peer(1000, 1000, 1)
TCP = Probe(tcp="127.0.0.1:9")


class FakeProbes:
    """A session is well from `ready_after` seconds of virtual time after its start on, unless it is `sick`."""

    def __init__(self) -> None:
        self.ready_after = 2.0
        self.takes = 0.0
        self.sick: dict[str, str] = {}  # job -> complaint
        self.asked: list[Target] = []
        self._first: dict[str, float] = {}

    async def check(self, probe: Probe, target: Target, timeout: float) -> str:
        self.asked.append(target)
        if self.takes >= timeout:
            await anyio.sleep(timeout)
            return f"no answer within {timeout:g} s"
        await anyio.sleep(self.takes)
        now = anyio.current_time()
        if now - self._first.setdefault(target.run.id, now) < self.ready_after:
            return "not yet"
        return self.sick.get(target.run.job, "")

    def last_line(self, run: RunRef) -> str | None:
        return "bind: address in use"


class FakeOrphans:
    """Remembers after whom it was to clean."""

    def __init__(self) -> None:
        self.cleaned: list[str] = []

    async def clean_after(self, session: str, job: Job) -> None:
        self.cleaned.append(job.id)


class Scene:
    """A session called `browser` on a stage."""

    def __init__(self, stage: Stage, **settings: Any) -> None:
        stage.runner.duration = 1e9
        stage.runner.has_leaders = True
        self.stage = stage
        self.probes = FakeProbes()
        self.orphans = FakeOrphans()
        numbers = iter(range(1, 1000))
        tools = SessionTools(
            jobs=Hosting(stage.supervisor),
            probes=self.probes,
            orphans=self.orphans,
            processes=stage.processes,
            feed=stage.feed,
            owner=DAEMON,
            base={"PATH": "/bin"},
            environment=("hash", b'{"PATH":"/bin"}'),
            new_id=lambda: f"session{next(numbers):03d}",
        )
        given: dict[str, Any] = {"command": ("driver",), "health": TCP, **settings}
        configured = {"browser": SessionSettings(**given), "other": SessionSettings(command=("sleep",))}
        self.sessions = Sessions(configured, tools, stage.workshop, stage.supervisor.locks, stage.group)

    async def open(self, lease: str = "lease-a", peer: Peer = ALICE, wait: float = 0.0) -> Job:
        _, job = await self.sessions.open("browser", lease, None, wait, peer)
        return job

    async def give_back(self, peer: Peer = ALICE) -> None:
        lock = await self.stage.store.lock("session:browser")
        assert lock is not None
        await self.stage.supervisor.locks.release(lock.name, lock.token, peer)

    async def state(self) -> str:
        return (await self.sessions.view("browser")).state

    def die(self, job: Job) -> None:
        """Its leader is killed, and nothing is left of it."""
        self.stage.processes.die(self.stage.runner.leaders[job.id])
        self.seat(job).finish()

    def seat(self, job: Job) -> Any:
        assert job.run is not None
        return next(seat for seat in self.stage.runner.seats if seat.name == job.run.seat)

    @property
    def starts(self) -> list[str]:
        return self.stage.runner.started
