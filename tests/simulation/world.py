"""A whole story: a host, one daemon after the other on it, faults, and then peace."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio
import trio.testing
from msgspec import Struct
from trio._core import _run as scheduler

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Entry
from jobkeepd.errors import DaemonError
from jobkeepd.spawner import record
from jobkeepd.store.memory_ledger import MemoryLedger
from jobkeepd.supervisor.supervisor import Supervisor

from .daemon import LIMITS, Daemon
from .host import Host
from .invariants import Watch, finished, unsettled, within_limits
from .judge import Judge, Violation
from .slots import begun_of
from .story import DAY, ME, Story

STEPS = 100
SETTLED_WITHIN = 10.0
OVER_WITHIN = 400.0


class Report(Struct, frozen=True):
    """Of one seed. `trace` is the journal: the same for the same seed."""

    seed: int
    told: Counter[str]
    states: Counter[str]
    happened: Counter[str]  # by the journal: kinds, outcomes of runs, fates of those that were found on a start
    checks: int
    seconds: float
    trace: tuple[tuple[str, str | None], ...]


class World:
    def __init__(self, rng: random.Random, nursery: trio.Nursery) -> None:
        self.ledger = MemoryLedger()
        self.judge = Judge()
        self.host = Host(rng, self.judge, nursery)
        self.watch = Watch(self.ledger)
        self._nursery = nursery
        self._daemon: Daemon | None = None
        self._epoch = 0
        self._over = trio.Event()

    def supervisor(self) -> Supervisor:
        daemon = self.host.daemon
        if daemon is None or daemon.supervisor is None:
            raise DaemonError("no daemon")
        return daemon.supervisor

    def _on_entries(self, entries: list[Entry]) -> None:
        """Inside a commit, where whatever is raised would be taken for the answer to it."""
        try:
            self.watch.on_entries(entries)
            for entry in entries:
                if entry.kind == "ended" and entry.job is not None and entry.run is not None:
                    self.judge.hear_end(entry.job, entry.run)
        except Violation as violation:
            self._nursery.start_soon(self._fail, violation)

    async def _fail(self, violation: Violation) -> None:
        violation.add_note(self.history(str(violation)))
        raise violation

    async def start_daemon(self) -> None:
        self._epoch += 1
        daemon = self._daemon = Daemon(self.host, self.ledger, self._epoch, self._on_entries)
        self._over = over = trio.Event()

        async def live() -> None:
            try:
                await daemon.live()
            finally:
                over.set()

        self._nursery.start_soon(live)
        await daemon.ready.wait()

    async def kill_daemon(self) -> None:
        daemon = self._daemon
        assert daemon is not None
        daemon.kill()
        await self._over.wait()
        if daemon.store.failures:
            raise Violation(f"the store has failed: {daemon.store.failures}")

    async def restart_daemon(self, after: float) -> bool:
        await self.kill_daemon()
        await trio.sleep(after)
        await self.start_daemon()
        return True

    async def reboot(self) -> bool:
        await self.kill_daemon()
        self.host.reboot(lambda: None)
        await trio.sleep(1.0)
        await self.start_daemon()
        return True

    def history(self, words: str) -> str:
        """The journal of the jobs that are named in there, and of the daemon."""
        entries = [entry for entry in self.ledger.journal if entry.job is None or entry.job in words]
        return "\n".join(f"{entry.at - 1e6:9.2f} {entry.kind} {entry.job or ''} {entry.data}" for entry in entries)

    # -- the end -----------------------------------------------------------------------------------------------------

    async def make_peace(self) -> None:
        """No more faults: whatever was broken is whole again."""
        self.host.trouble = 0.0
        self.host.set_clock(0.0)
        for client in self.host.clients.values():
            client.signal(9)
        for leader in self.host.leaders():
            if leader.process is not None:
                leader.process.resume()
        drain = self.supervisor().drain
        if drain.since is not None:
            drain.call_off(ME)
        await trio.sleep(SETTLED_WITHIN)
        before = unsettled(self.ledger, self.host)
        await trio.sleep(1.0)  # a process that has just ended is not on record yet
        if stuck := before.items() & unsettled(self.ledger, self.host).items():
            raise Violation(f"{dict(stuck)} are running, and have no process that lives")

    async def come_to_an_end(self) -> None:
        """What would run for ever is cancelled; all the rest ends by itself, at the latest when UTC has come to it."""
        self.host.set_clock(2 * DAY)
        with trio.move_on_after(OVER_WITHIN):
            while live := [job for job in self.ledger.jobs.values() if job.state not in ENDED_STATES]:
                for job in live:
                    plan = self.host.plans[job.id]
                    if job.state == "running" and plan.stalls_at is not None:
                        with suppress(DaemonError):  # it has ended by itself
                            await self.supervisor().cancel(job.id, ME, force=False, reason=None)
                await trio.sleep(1.0)
        await trio.sleep(1.0)
        finished(self.ledger, self.host)
        within_limits(self.host, LIMITS)
        if tasks := self.supervisor().dispatcher.tasks:
            raise Violation(f"tasks are left of {list(tasks)}")


async def _play(seed: int, steps: int) -> Report:
    rng = random.Random(seed)
    async with trio.open_nursery() as nursery:
        world = World(rng, nursery)
        record.begun = lambda _, run: begun_of(world.host, run)
        story = Story(world, rng)
        await world.start_daemon()
        await story.tell(steps)
        try:
            await world.make_peace()
            await world.come_to_an_end()
        except Violation as violation:
            violation.add_note(world.history(str(violation)))
            raise
        await world.kill_daemon()
        nursery.cancel_scope.cancel()
    return Report(
        seed=seed,
        told=story.told,
        states=Counter(job.state for job in world.ledger.jobs.values()),
        happened=Counter(_kind(entry) for entry in world.ledger.journal),
        checks=world.watch.checks,
        seconds=trio.current_time(),
        trace=tuple((entry.kind, entry.job) for entry in world.ledger.journal),
    )


def _kind(entry: Entry) -> str:
    """What an entry tells, as short as may be."""
    detail = entry.data.get("outcome") or entry.data.get("fate") or entry.data.get("action")
    return entry.kind if detail is None else f"{entry.kind} {detail}"


@contextmanager
def scheduled_by(seed: int) -> Iterator[None]:
    """Trio shuffles what may run at once; here by the seed. There is no public way."""
    before, begun = (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r), record.begun
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = True, random.Random(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = before
        record.begun = begun


def play(seed: int, steps: int = STEPS) -> Report:
    """Raises Violation, alone or in a group."""
    with scheduled_by(seed):
        return trio.run(_play, seed, steps, clock=trio.testing.MockClock(autojump_threshold=0))
