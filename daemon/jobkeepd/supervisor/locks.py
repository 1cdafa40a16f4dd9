"""Locks as clients see them: take, renew and give them back, wait for them, look at them, reset them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
import anyio.abc

from jobkeepd.core.lease import ClientHolder, Lock, RunHolder, is_over, why_lost
from jobkeepd.core.model import Entry, Peer
from jobkeepd.errors import (
    IllegalTransition,
    LeaseLost,
    LockTaken,
    PeerUnseen,
    ShuttingDown,
    UnknownLock,
    UnreadableJob,
)
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Processes
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.supervisor.interest import Ask, Interest
from jobkeepd.supervisor.leases import Leases, Runs
from jobkeepd.supervisor.workshop import Workshop

_TOLD_LATER: Final = 256


class Losses:
    """Why the newest of them have come about: for those who ask for what they had a moment ago."""

    def __init__(self) -> None:
        self._why: dict[str, tuple[int, str]] = {}  # by lock: up to which token

    def note(self, name: str, token: int, why: str | None) -> None:
        self._why.pop(name, None)
        if why is not None:
            self._why[name] = token, why
        if len(self._why) > _TOLD_LATER:
            del self._why[next(iter(self._why))]

    def of(self, name: str, token: int) -> LeaseLost:
        lost_up_to, why = self._why.get(name, (-1, ""))
        return LeaseLost(name, token, why if token <= lost_up_to else None)


class Locks:
    """Implements rpc.services.Locks."""

    def __init__(self, workshop: Workshop, processes: Processes, runs: Runs, group: anyio.abc.TaskGroup) -> None:
        self._workshop = workshop
        self._store = workshop.store
        self._processes = processes
        self._runs = runs
        self._group = group
        self._interest = Interest()
        self.leases = Leases(workshop, processes, runs, group)
        self._losses = Losses()
        self._ending = False

    @property
    def max_hold(self) -> float:
        """Seconds after which a hold is stale."""
        return self.leases.settings.max_hold

    # -- what clients ask for --------------------------------------------------------------------------------------

    async def acquire(self, name: str, lease: str, ttl_s: float | None, wait_s: float, peer: Peer) -> Lock:
        """Raises LockTaken after `wait_s`, LeaseLost once the lease was given up, PeerUnseen, ShuttingDown.

        Who hangs up while it waits does not get the lock.
        """
        who = self._processes.identify(peer.pid)
        if who is None:
            raise PeerUnseen(peer.pid, peer.uid)
        holder = ClientHolder(lease, peer.uid, who)
        deadline = self._workshop.clock.monotonic() + wait_s
        with self._interest.ask(name, lease) as ask:
            while True:
                await self._turn(ask, deadline)
                ask.heed()
                try:
                    return await self._try(name, holder, ttl_s or self.leases.settings.ttl, peer)
                except LockTaken:
                    if self._left(deadline) <= 0:
                        raise
                with anyio.move_on_after(self._left(deadline)):
                    await ask.news()
        raise LeaseLost(name, 0)

    async def _turn(self, ask: Ask, deadline: float) -> None:
        """Until it is the first one's, or the time is over: then a last look does no harm. Raises ShuttingDown."""
        with anyio.move_on_after(self._left(deadline)):
            while not (ask.is_first or self._ending):
                await ask.news()
                ask.heed()
        if self._ending:
            raise ShuttingDown("the daemon is about to end")

    def _left(self, deadline: float) -> float:
        return deadline - self._workshop.clock.monotonic()

    async def _try(self, name: str, holder: ClientHolder, ttl_s: float, peer: Peer) -> Lock:
        answer: Latch[Lock | Exception] = Latch()
        now = self._workshop.moment()
        change = AcquireLock(
            name=name, holder=holder, ttl_s=ttl_s, by=peer, at=self._workshop.clock.now(), now=now
        )
        self._store.post(change, partial(self._granted, holder, answer))
        outcome = await answer.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _granted(self, holder: ClientHolder, answer: Latch[Lock | Exception], outcome: Lock | Exception) -> None:
        """In the turn of the commit, whatever has become of the caller since."""
        answer.set(outcome)
        if isinstance(outcome, Exception):
            return
        self.leases.granted(outcome)
        if not self._interest.is_asked(holder.lease):
            self._group.start_soon(self.leases.release, outcome, "given_up", name=f"give {outcome.name} back")

    async def renew(self, name: str, token: int, linger_s: float, peer: Peer) -> None:
        """Extend the lease, then wait `linger_s`, or until it is lost. Raises LeaseLost."""
        with self._interest.change(name) as changed:
            change = RenewLocks(leases=((name, token),), now=self._workshop.moment(), pid=peer.pid)
            if await self._store.apply(change):
                raise self._losses.of(name, token)
            with anyio.move_on_after(linger_s):
                await changed.wait()
                if not self._ending:
                    raise self._losses.of(name, token)  # only the end of its hold changes a lock that is held

    async def release(self, name: str, token: int, peer: Peer) -> None:
        """Raises LeaseLost."""
        await self._store.apply(ReleaseLock(name=name, token=token, at=self._workshop.clock.now(), by=peer))

    async def give_up(self, name: str, lease: str, peer: Peer) -> None:
        """Nobody asks for this lease any more, and what it has is free."""
        self._interest.give_up(lease)
        lock = await self._store.lock(name)
        if lock is not None and isinstance(lock.holder, ClientHolder) and lock.holder.lease == lease:
            await self.leases.release(lock, "given_up", peer)

    async def held(self) -> list[tuple[Lock, int]]:
        """The locks that are held, each with how many wait for it."""
        return [(lock, await self.waiting(lock.name)) for lock in await self._store.locks()]

    async def show(self, name: str) -> tuple[Lock, int]:
        """Raises UnknownLock."""
        return await self._get(name), await self.waiting(name)

    async def reset(self, name: str, peer: Peer, *, force: bool, reason: str | None) -> tuple[Lock, str | None]:
        """The lock, with a higher token than before; and the job whose run was ended for that.

        It is free, or somebody who waited has it already. Raises UnknownLock, and LockTaken unless `force`, as long
        as its holder may live.
        """
        lock = await self._get(name)
        ended: str | None = None
        if isinstance(lock.holder, RunHolder):
            if not force:
                raise LockTaken(lock, reset=True)
            try:
                ended = await self._end_run(lock, lock.holder.job, peer, reason)
            except UnreadableJob as error:
                await self._refuse_living(lock.holder, error)
                return await self._taken_away(lock, peer, reason, left=False), None
            found = await self._get(name)
            if found.token != lock.token:
                return found, ended
        elif not (force or is_over(lock, self._workshop.moment()) or self.leases.see(lock).alive is False):
            raise LockTaken(lock, reset=True)
        return await self._taken_away(lock, peer, reason, left=True), ended

    async def _taken_away(self, lock: Lock, peer: Peer, reason: str | None, *, left: bool) -> Lock:
        at = self._workshop.clock.now()
        change = ResetLock(name=lock.name, token=lock.token, by=peer, at=at, reason=reason, left=left)
        try:
            return await self._store.apply(change)
        except LeaseLost:  # it has changed hands in this very moment, under a higher token
            return await self._get(lock.name)

    async def _refuse_living(self, holder: RunHolder, error: UnreadableJob) -> None:
        """Nothing follows such a run, and nothing ends it; its records say whether something of it may be left."""
        run = f"{holder.job}.{holder.run}"
        seat = (await self._store.open_seats()).get(run)
        if seat is not None and self._workshop.may_live(run, seat):
            raise UnreadableJob(holder.job, f"{error.why}; its run may live in slot {seat}: jobkeep emergency ends it")

    async def _end_run(self, lock: Lock, job: str, peer: Peer, reason: str | None) -> str | None:
        try:
            await self._runs.end_run(job, peer, f"lock {lock.name} was reset" + (f": {reason}" if reason else ""))
        except IllegalTransition:
            return None  # it has just ended by itself
        return job

    def notice(self, entries: Sequence[Entry]) -> None:
        """Wake who waits for a lock, or for the loss of one."""
        for entry in entries:
            if entry.kind in ("lock_released", "lock_reset"):
                name = str(entry.data["lock"])
                self._losses.note(name, int(entry.data["token"]), why_lost(entry))
                self._interest.changed(name)
                self.leases.over(name, int(entry.data["token"]))

    def stop(self) -> None:
        """Nobody waits any more: the next daemon knows who has what, and takes the waits up."""
        self._ending = True
        self._interest.all_changed()

    async def _get(self, name: str) -> Lock:
        lock = await self._store.lock(name)
        if lock is None:
            raise UnknownLock(name)
        return lock

    async def waiting(self, name: str) -> int:
        """How many jobs and clients wait for it."""
        return await self._store.waiting(name) + self._interest.count(name)
