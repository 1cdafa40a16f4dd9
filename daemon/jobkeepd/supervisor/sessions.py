"""Sessions as clients see them: opened under a lease, looked at, closed. Each is run by a job of a queue of its own."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import anyio.abc
import structlog
from msgspec import Struct

from jobkeepd.core.lease import Lock, is_over
from jobkeepd.core.model import Identity, Job, Peer
from jobkeepd.core.sessions import QUEUE, SessionState, key_of, name_of, state_of
from jobkeepd.errors import (
    DaemonError,
    LeaseLost,
    LockTaken,
    SessionFailed,
    SessionInUse,
    StoreError,
    UnknownJob,
    UnknownSession,
)
from jobkeepd.store.base import JobFilter
from jobkeepd.store.changes import Note
from jobkeepd.store.lock_changes import RenewLocks
from jobkeepd.supervisor.in_hand import InHand
from jobkeepd.supervisor.locks import Locks
from jobkeepd.supervisor.opening import Doorkeeper
from jobkeepd.supervisor.session_ports import SessionTools, last_job
from jobkeepd.supervisor.settings import SessionSettings
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()


class SessionView(Struct, frozen=True):
    """What is known of a session at this moment. `lock` is held by whoever uses it."""

    name: str
    state: SessionState
    job: Job | None  # that runs it, or the last one that did
    lock: Lock | None
    complaint: str | None  # of the last check; "" if it was well
    waiting: int
    settings: SessionSettings | None  # None where it is configured no more
    ended: str | None = None  # how it came to its end, where it has ended


class Sessions:
    """Implements rpc.services.Sessions."""

    def __init__(
        self,
        configured: Mapping[str, SessionSettings],
        tools: SessionTools,
        workshop: Workshop,
        locks: Locks,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self._configured = configured
        self._tools = tools
        self._workshop = workshop
        self._store = workshop.store
        self._locks = locks
        self._group = group
        self._in_hand = InHand(tools, workshop, locks.leases, group)
        self._doorkeepers: dict[str, Doorkeeper] = {}
        self._opening: dict[str, int] = {}  # how many calls ask under a lease

    async def recover_once(self) -> None:
        """On start, after the runs and the locks."""
        await self._in_hand.recover_once(self._configured)

    # -- what clients ask for ----------------------------------------------------------------------------------------

    async def open(self, name: str, lease: str, ttl_s: float | None, wait_s: float, peer: Peer) -> tuple[Lock, Job]:
        """Its lock, held by the process that asks, and the job that runs it, ready.

        Raises UnknownSession, SessionInUse after `wait_s`, SessionFailed, and what Locks.acquire raises. Who hangs up
        meanwhile does not get it.
        """
        doorkeeper = self._doorkeeper(name)
        asked = self._workshop.clock.monotonic()
        self._opening[lease] = self._opening.get(lease, 0) + 1
        lock: Lock | None = None
        given = False
        try:
            lock = await self._locks.acquire(key_of(name), lease, ttl_s, wait_s, peer)
            job = await self._made_ready(doorkeeper, lock, peer, asked)
            given = True
        except LockTaken as error:
            raise SessionInUse(name, error.lock) from None
        except DaemonError:
            if lock is not None and self._opening[lease] == 1:  # so that asking again finds it free
                await self._locks.leases.release(lock, "given_up")
                lock = None
            raise
        finally:
            left = self._opening[lease] = self._opening[lease] - 1
            if not left:
                del self._opening[lease]
            if lock is not None and not given and not left:  # else another call of the same client has it
                self._group.start_soon(self._locks.leases.release, lock, "given_up", name=f"give {name} back")
        self._in_hand.watch(lock, job)
        self._note("session_opened", job, peer, session=name, token=lock.token)
        return lock, job

    async def views(self) -> list[SessionView]:
        """Those that are configured, and those that run all the same."""
        running = await self._running()
        names = sorted({*self._configured, *running})
        return [await self.view(name) for name in names]

    async def view(self, name: str) -> SessionView:
        """One of them. Raises UnknownSession."""
        job = await self._store.holder(key_of(name))
        if name not in self._configured and (job is None or job.spec.queue != QUEUE):
            raise UnknownSession(name, sorted(self._configured))
        if job is not None and job.spec.queue != QUEUE:
            job = None
        lock = await self._holding(name)
        process = self._tools.process(job)
        last = job or await last_job(self._store, name)
        keeper = self._doorkeepers.get(name)
        unready = job is not None and keeper is not None and keeper.is_opening and not keeper.was_ready(job)
        closed, ended = (False, None) if job is not None or last is None else await self._how_ended(last)
        by_itself = last is not None and not closed
        state = state_of(process, in_use=lock is not None, was_ready=not unready, ended_by_itself=by_itself)
        complaint = keeper.complaint if keeper is not None and job is not None else None
        waiting = await self._locks.waiting(key_of(name))
        return SessionView(name, state, last, lock, complaint, waiting, self._configured.get(name), ended)

    async def close(self, name: str, peer: Peer, *, force: bool, reason: str | None) -> str | None:
        """End its process, for sure; the job whose run was ended, if there was one.

        Raises UnknownSession, SessionFailed, and SessionInUse unless `force`: then its holder loses the lease first.
        """
        view = await self.view(name)
        self._refuse_in_use(view, force)
        keeper = self._doorkeeper(name) if view.settings is not None else None
        if keeper is None:
            return await self._end(name, view, peer, force, reason)
        async with keeper.busy:
            return await self._end(name, await self.view(name), peer, force, reason)

    async def _end(
        self, name: str, view: SessionView, peer: Peer, force: bool, reason: str | None
    ) -> str | None:
        self._refuse_in_use(view, force)
        if view.lock is not None:
            await self._locks.reset(key_of(name), peer, force=True, reason=reason or "the session was closed")
        job = await self._store.holder(key_of(name))
        if job is None or job.spec.queue != QUEUE:
            return None
        said = "the session was closed" + (f": {reason}" if reason else "")
        within = 2 * self._workshop.grace(job.spec.grace_s) + self._tools.slack
        if not await self._tools.jobs.end(job.id, peer, said, within):
            raise SessionFailed(name, f"what is left of it has not ended within {within:g} s", job.id)
        self._note("session_closed", job, peer, session=name, reason=reason)
        return job.id

    def _refuse_in_use(self, view: SessionView, force: bool) -> None:
        if view.lock is not None and not force and self._locks.leases.see(view.lock).alive is not False:
            raise SessionInUse(view.name, view.lock)

    # -- for clean-up ------------------------------------------------------------------------------------------------

    async def in_use(self) -> dict[Identity, str]:
        """The processes of those that somebody uses, and what to call each: nothing beneath them may be touched."""
        roots = {}
        for name, job in (await self._running()).items():
            identity = job.run.identity if job.run is not None else None
            if identity is not None and await self._holding(name) is not None:
                roots[identity] = f"session {name}, in use"
        return roots

    # -- parts -------------------------------------------------------------------------------------------------------

    def _doorkeeper(self, name: str) -> Doorkeeper:
        settings = self._configured.get(name)
        if settings is None:
            raise UnknownSession(name, sorted(self._configured))
        if name not in self._doorkeepers:
            self._doorkeepers[name] = Doorkeeper(name, settings, self._tools, self._workshop)
        return self._doorkeepers[name]

    async def _made_ready(self, doorkeeper: Doorkeeper, lock: Lock, peer: Peer, asked: float) -> Job:
        """While that takes its time the lease is renewed for the client, which does not have it yet."""
        failure: DaemonError | None = None
        job: Job | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep, lock, peer, name=f"lease of {lock.name}")
            try:
                job = await doorkeeper.let_in(peer, asked)
            except DaemonError as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        assert job is not None
        if not await self._renewed(lock, peer):
            raise LeaseLost(lock.name, lock.token)
        return job

    async def _keep(self, lock: Lock, peer: Peer) -> None:
        while True:
            await anyio.sleep(lock.ttl_s / 3)
            try:
                if not await self._renewed(lock, peer):
                    return  # which shows when the session is ready
            except StoreError as error:
                log.warning("lease_not_renewed", lock=lock.name, error=str(error))

    async def _renewed(self, lock: Lock, peer: Peer) -> bool:
        lease = ((lock.name, lock.token),)
        return not await self._store.apply(RenewLocks(leases=lease, now=self._workshop.moment(), pid=peer.pid))

    async def _holding(self, name: str) -> Lock | None:
        lock = await self._store.lock(key_of(name))
        return None if lock is None or is_over(lock, self._workshop.moment()) else lock

    async def _running(self) -> dict[str, Job]:
        live = JobFilter(states=("queued", "running", "cancelling"), queue=QUEUE, limit=1000)
        return {name_of(job): job for job in await self._store.list(live)}

    async def _how_ended(self, job: Job) -> tuple[bool, str | None]:
        """Whether somebody has closed it, and why it has ended."""
        try:
            asked = [entry for entry in await self._store.history(job.id) if entry.kind == "cancel_requested"]
        except UnknownJob:  # it was removed since it was read
            return False, job.reason
        if job.state != "cancelled" or not asked:
            return False, job.reason
        return asked[-1].by is not None, asked[-1].data.get("reason") or job.reason

    def _note(self, kind: str, job: Job, by: Peer | None, **data: object) -> None:
        run = None if job.run is None else job.run.number
        said = {name: value for name, value in data.items() if value is not None}
        self._store.send(Note(kind=kind, at=self._workshop.clock.now(), job=job.id, run=run, by=by, data=said))
