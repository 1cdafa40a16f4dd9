"""Leases while the daemon runs: renewed for runs that live, ended for clients that died or fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import anyio
import anyio.abc
import structlog

from jobkeepd.core.lease import ClientHolder, Lock, RunHolder, Seen, expires_in, is_over, judge_hold
from jobkeepd.core.model import Moment, Peer
from jobkeepd.errors import DaemonError, LeaseLost, StorageFailed, StoreError
from jobkeepd.runner.base import Processes
from jobkeepd.store.changes import Note
from jobkeepd.store.lock_changes import ReleaseLock, RenewLocks
from jobkeepd.supervisor.deathwatch import Deathwatch, Hold
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
_BRIEFLY: Final = 0.05  # seconds


class Runs(Protocol):
    """What locks need of the supervisor."""

    def has_live_run(self, id: str) -> bool: ...

    async def end_run(self, id: str, by: Peer | None, reason: str) -> None:
        """End the job's run for sure, and wait for that. Raises IllegalTransition where there is none."""


class Leases:
    """The daemon's own part in them."""

    def __init__(self, workshop: Workshop, processes: Processes, runs: Runs, group: anyio.abc.TaskGroup) -> None:
        self.settings = workshop.locks
        self._workshop = workshop
        self._store = workshop.store
        self._processes = processes
        self._runs = runs
        self._group = group
        self._deathwatch = Deathwatch(processes, group, self._bury)
        self._told: dict[str, int] = {}  # token of the last stale hold of a lock that was reported
        self._ending: set[str] = set()  # locks whose runs are being ended
        self._sooner = anyio.Event()  # a lease may end before the next look

    def granted(self, lock: Lock) -> None:
        """A client has it now."""
        assert isinstance(lock.holder, ClientHolder)
        self._deathwatch.watch(Hold(lock.name, lock.token, lock.holder.identity))
        if lock.ttl_s < self.settings.ttl:
            self._sooner.set()

    def over(self, name: str, token: int) -> None:
        """The holds of a lock up to this token."""
        self._deathwatch.over(name, token)

    def see(self, lock: Lock) -> Seen:
        if isinstance(lock.holder, ClientHolder):
            return Seen(self._processes.alive(lock.holder.identity))
        assert lock.holder is not None
        return Seen(True if self._runs.has_live_run(lock.holder.job) else None)

    async def release(self, lock: Lock, reason: str, by: Peer | None = None, over: Moment | None = None) -> None:
        """No trouble with one lock is trouble for another, nor for whoever asked."""
        at = self._workshop.clock.now()
        change = ReleaseLock(name=lock.name, token=lock.token, at=at, reason=reason, by=by, over=over)
        try:
            await self._store.apply(change)
        except (LeaseLost, StorageFailed):
            return  # somebody was faster; or the daemon ends, and the next one does it
        except DaemonError as error:
            log.warning("lock_not_released", lock=lock.name, token=lock.token, reason=reason, error=str(error))
            return
        log.info("lock_released", lock=lock.name, token=lock.token, reason=reason)

    async def recover_once(self) -> None:
        """On start: what clients hold, from before. Who lives gets a fresh lease: the silence was ours."""
        kept = []
        for lock in await self._store.locks():
            if not isinstance(lock.holder, ClientHolder):
                continue  # its run decides
            if self._processes.alive(lock.holder.identity) is False:
                await self.release(lock, "holder_died")
            elif lock.renewed is not None and lock.renewed.boot_id == self._workshop.boot_id:
                kept.append((lock.name, lock.token))
                self._deathwatch.watch(Hold(lock.name, lock.token, lock.holder.identity))
        if kept:
            await self._renew(kept, revive=True)

    async def look_once(self) -> None:
        """Renew the leases of runs that live, and judge who holds a lock for too long."""
        now = self._workshop.moment()
        renewed: list[tuple[str, int]] = []
        for lock in await self._store.locks():
            seen = self.see(lock)
            verdict = judge_hold(lock, seen, now, self.settings.max_hold, self.settings.on_max_hold)
            if isinstance(lock.holder, RunHolder):
                if self._runs.has_live_run(lock.holder.job):
                    renewed.append((lock.name, lock.token))
                if verdict == "end" and lock.name not in self._ending:
                    self._group.start_soon(self._end_holder, lock, lock.holder.job, name=f"end holder of {lock.name}")
            elif verdict in ("release", "end"):
                await self._release_holder(lock, seen, now)
            if verdict == "report":
                self._report(lock)
        if renewed:
            await self._renew(renewed)

    async def _release_holder(self, lock: Lock, seen: Seen, now: Moment) -> None:
        if seen.alive is False:
            await self.release(lock, "holder_died")
        elif is_over(lock, now):
            await self.release(lock, "expired", over=now)
        else:
            await self.release(lock, "max_hold")

    async def expire_once(self) -> float:
        """Free what clients have held in silence for too long; the seconds until that may be so again."""
        now = self._workshop.moment()
        first = self.settings.ttl
        for lock in await self._store.locks():
            if not isinstance(lock.holder, ClientHolder):
                continue
            if is_over(lock, now):
                await self.release(lock, "expired", over=now)
            else:
                first = min(first, expires_in(lock, now))
        return max(first, _BRIEFLY)

    async def keep_looking(self) -> None:
        while True:
            try:
                await self.look_once()
            except StorageFailed:
                return  # the daemon has been told, and ends
            except StoreError as error:
                log.warning("locks_not_looked_at", error=str(error))
            await anyio.sleep(self.settings.ttl / 3)

    async def keep_expiring(self) -> None:
        while True:
            self._sooner = anyio.Event()
            try:
                pause = await self.expire_once()
            except StorageFailed:
                return  # as above
            except StoreError as error:
                pause = self.settings.ttl / 3
                log.warning("locks_not_looked_at", error=str(error))
            with anyio.move_on_after(pause):
                await self._sooner.wait()

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _bury(self, hold: Hold) -> None:
        await self.release(Lock(name=hold.name, token=hold.token), "holder_died")

    async def _renew(self, leases: Sequence[tuple[str, int]], *, revive: bool = False) -> None:
        try:
            await self._store.apply(RenewLocks(leases=tuple(leases), now=self._workshop.moment(), revive=revive))
        except StorageFailed:
            raise
        except DaemonError as error:
            log.warning("leases_not_renewed", error=str(error))

    async def _end_holder(self, lock: Lock, job: str) -> None:
        log.warning("lock_held_too_long", lock=lock.name, job=job, token=lock.token)
        self._ending.add(lock.name)
        try:
            await self._runs.end_run(job, None, f"it held the lock {lock.name} for longer than max_hold")
        except DaemonError as error:  # it has just ended by itself; or the next look tries again
            log.info("holder_not_ended", lock=lock.name, job=job, error=str(error))
        finally:
            self._ending.discard(lock.name)

    def _report(self, lock: Lock) -> None:
        if self._told.get(lock.name) == lock.token:
            return
        self._told[lock.name] = lock.token
        job = lock.holder.job if isinstance(lock.holder, RunHolder) else None
        log.warning("lock_stale", lock=lock.name, token=lock.token, job=job)
        data = {"lock": lock.name, "token": lock.token}
        self._store.send(Note(kind="lock_stale", at=self._workshop.clock.now(), job=job, data=data))
