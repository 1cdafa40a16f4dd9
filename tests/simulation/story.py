"""What happens: people's wishes, faults of the host, and their order, drawn from the seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.lease import ClientHolder
from jobkeepd.core.model import Peer
from jobkeepd.errors import DaemonError, StorageFailed
from jobkeepd.store.changes import NewJob

from .plans import draw_plan

if TYPE_CHECKING:
    from .world import World

ME = Peer(1000, 1000, 42)
DAY = 86400.0


class Story:
    """Deeds by weight. `told` counts those that were really done."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._jobs = 0
        self.told: Counter[str] = Counter()
        self._deeds: list[tuple[int, Callable[[], Awaitable[bool]]]] = [
            (40, self._submit), (6, self._cancel), (3, self._cancel_by_force), (5, self._restart), (8, self._resume),
            (5, self._recover), (4, self._drain), (5, self._take_lock), (3, self._let_lock_go), (2, self._reset_lock),
            (5, self._kill_leader), (9, self._stop_leader), (6, self._continue_leader), (3, self._kill_slot),
            (2, self._kill_slot_and_spawner), (2, self._kill_client), (4, self._move_clock), (6, self._kill_daemon),
            (1, self._reboot), (3, self._trouble),
        ]  # fmt: skip

    async def tell(self, steps: int) -> None:
        weights = [weight for weight, _ in self._deeds]
        for _ in range(steps):
            (deed,) = self._rng.choices([deed for _, deed in self._deeds], weights)
            try:
                if await deed():
                    self.told[deed.__name__.strip("_")] += 1
            except StorageFailed:
                pass  # the daemon was killed in the middle of it
            except DaemonError:
                self.told["refused"] += 1
            await trio.sleep(self._rng.expovariate(4.0))

    # -- people ------------------------------------------------------------------------------------------------------

    async def _submit(self) -> bool:
        daemon = self._world.host.daemon
        if daemon is None or daemon.supervisor is None:
            return False
        self._jobs += 1
        job = f"j{self._jobs:04}"
        plan = draw_plan(self._rng, self._jobs)
        on_conflict = self._rng.choice([None, None, "return", "queue", "replace_queued", "cancel_running"])
        self._world.host.plans[job] = plan
        new = (NewJob(job, plan.spec, None),)
        daemon.supervisor.submit(new, (), ME, request=None, digest="", on_conflict=on_conflict)
        return True

    def _any_job(self, *states: JobState) -> str:
        """Mostly one in one of these states."""
        jobs = self._world.ledger.jobs
        fitting = [job.id for job in jobs.values() if job.state in states]
        if fitting and self._rng.random() < 0.8:
            return self._rng.choice(fitting)
        return self._rng.choice(list(jobs)) if jobs else "j0000"

    async def _wish(self, wish: Callable[[], Awaitable[object]]) -> bool:
        """At most as long as the daemon lives: its answer may never come."""
        daemon = self._world.host.daemon
        if daemon is None or daemon.supervisor is None:
            return False
        with trio.move_on_after(1.0):
            await wish()
        return True

    async def _cancel(self) -> bool:
        job, jobs = self._any_job("queued", "running", "scheduled"), self._world.supervisor
        return await self._wish(lambda: jobs().cancel(job, ME, force=False, reason=None))

    async def _cancel_by_force(self) -> bool:
        job, jobs = self._any_job("running", "cancelling"), self._world.supervisor
        return await self._wish(lambda: jobs().cancel(job, ME, force=True, reason=None))

    async def _restart(self) -> bool:
        job, jobs, from_start = self._any_job("running"), self._world.supervisor, self._rng.random() < 0.3
        return await self._wish(lambda: jobs().restart(job, ME, from_start=from_start, reason=None))

    async def _resume(self) -> bool:
        job, jobs = self._any_job("failed", "cancelled"), self._world.supervisor
        return await self._wish(lambda: jobs().resume(job, ME, failed_items=False, reason=None))

    async def _recover(self) -> bool:
        jobs, older = self._world.supervisor, self._rng.choice([3.0, 10.0])
        then = self._rng.choice([None, "fail", "resume"])
        return await self._wish(
            lambda: jobs().recovery.recover_once(check=False, older_than=older, then=then, by=ME)
        )

    async def _drain(self) -> bool:
        """Or the end of one."""
        daemon = self._world.host.daemon
        if daemon is None or daemon.supervisor is None:
            return False
        drain = daemon.supervisor.drain
        if drain.since is not None:
            return drain.call_off(ME)
        commands = self._rng.choice(["wait", "leave"])
        return await self._wish(lambda: drain.drain(ME, commands, 0.5))

    # -- clients -----------------------------------------------------------------------------------------------------

    async def _take_lock(self) -> bool:
        host = self._world.host
        process = host.process()
        pid = process.identity.pid
        host.clients[pid] = process
        host.nursery.start_soon(process.live, lambda process: process.sleep(1e9))
        name, jobs = self._rng.choice(["crm", "disk"]), self._world.supervisor
        peer = Peer(1000, 1000, pid)
        return await self._wish(lambda: jobs().locks.acquire(name, f"lease{pid}", 4.0, 0.5, peer))

    async def _let_lock_go(self) -> bool:
        for lock in self._world.ledger.locks.values():
            if isinstance(lock.holder, ClientHolder):
                name, token, jobs = lock.name, lock.token, self._world.supervisor
                peer = Peer(1000, 1000, lock.holder.identity.pid)
                return await self._wish(lambda: jobs().locks.release(name, token, peer))  # noqa: B023 - called at once
        return False

    async def _reset_lock(self) -> bool:
        name, jobs, force = self._rng.choice(["crm", "disk"]), self._world.supervisor, self._rng.random() < 0.5
        return await self._wish(lambda: jobs().locks.reset(name, ME, force=force, reason=None))

    async def _kill_client(self) -> bool:
        living = [process for process in self._world.host.clients.values() if process.alive]
        if living:
            self._rng.choice(living).signal(9)
        return bool(living)

    # -- the host ----------------------------------------------------------------------------------------------------

    async def _kill_leader(self) -> bool:
        leaders = self._world.host.leaders()
        if leaders:
            self._rng.choice(leaders).process.signal(9)  # type: ignore[union-attr]
        return bool(leaders)

    async def _stop_leader(self) -> bool:
        leaders = self._world.host.leaders()
        if leaders:
            self._rng.choice(leaders).process.stop()  # type: ignore[union-attr]
        return bool(leaders)

    async def _continue_leader(self) -> bool:
        stopped = [each.process for each in self._world.host.leaders() if each.process and each.process.stopped]
        if stopped:
            self._rng.choice(stopped).resume()
        return bool(stopped)

    async def _kill_slot(self) -> bool:
        slots = list(self._world.host.slots.values())
        if slots:
            self._rng.choice(slots).die()
        return bool(slots)

    async def _kill_slot_and_spawner(self) -> bool:
        """Nobody sees how its run ends."""
        slots = [slot for slot in self._world.host.slots.values() if slot.run in self._world.host.records]
        if not slots:
            return False
        slot = self._rng.choice(slots)
        self._world.host.records[slot.run or ""].seen = False
        slot.die()
        return True

    async def _trouble(self) -> bool:
        self._world.host.trouble = self._rng.choice([0.0, 0.15])
        return True

    async def _move_clock(self) -> bool:
        self._world.host.set_clock(self._rng.choice([0.0, DAY, -DAY, 3600.0]))
        return True

    async def _kill_daemon(self) -> bool:
        return await self._world.restart_daemon(after=self._rng.choice([0.0, 0.3, 2.0, 8.0]))

    async def _reboot(self) -> bool:
        return await self._world.reboot()
