"""Locks and recovery behind the wire, and the clock that dates them."""

from __future__ import annotations

from jobkeep.protocol.vocabulary import OnLost
from jobkeepd.core.lease import ClientHolder, Lock
from jobkeepd.core.model import Identity, Job, Moment, Peer
from jobkeepd.core.stuck import Finding
from jobkeepd.errors import LeaseLost, LockTaken, UnknownLock
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.recovery import Row

START = 1_700_000_000.0


class FakeClock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - START


class FakeLocks:
    """Takes, renews and resets at once or not at all."""

    max_hold = 3600.0

    def __init__(self, store: MemoryStore, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self.waits: list[float] = []

    def _moment(self) -> Moment:
        return Moment("boot-1", self._clock.monotonic())

    async def acquire(self, name: str, lease: str, ttl_s: float | None, wait_s: float, peer: Peer) -> Lock:
        self.waits.append(wait_s)
        holder = ClientHolder(lease, peer.uid, Identity("boot-1", peer.pid, 7))
        return await self._store.apply(
            AcquireLock(
                name=name, holder=holder, ttl_s=ttl_s or 60.0, by=peer, at=self._clock.now(), now=self._moment()
            )
        )

    async def renew(self, name: str, token: int, linger_s: float, peer: Peer) -> None:
        self.waits.append(linger_s)
        if await self._store.apply(RenewLocks(leases=((name, token),), now=self._moment(), pid=peer.pid)):
            raise LeaseLost(name, token)

    async def give_up(self, name: str, lease: str, peer: Peer) -> None:
        lock, _ = await self.show(name)
        if isinstance(lock.holder, ClientHolder) and lock.holder.lease == lease:
            await self.release(name, lock.token, peer)

    async def release(self, name: str, token: int, peer: Peer) -> None:
        await self._store.apply(ReleaseLock(name=name, token=token, at=self._clock.now(), by=peer))

    async def held(self) -> list[tuple[Lock, int]]:
        return [(lock, 0) for lock in await self._store.locks()]

    async def show(self, name: str) -> tuple[Lock, int]:
        lock = await self._store.lock(name)
        if lock is None:
            raise UnknownLock(name)
        return lock, await self._store.waiting(name)

    async def reset(self, name: str, peer: Peer, *, force: bool, reason: str | None) -> tuple[Lock, str | None]:
        lock, _ = await self.show(name)
        if not force:
            raise LockTaken(lock, reset=True)
        change = ResetLock(name=name, token=lock.token, by=peer, at=self._clock.now(), reason=reason)
        return await self._store.apply(change), None


class FakeRecovery:
    """Finds every open run silent."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.asked: list[tuple[bool, float | None, OnLost | None, Peer | None]] = []

    def look(self, job: Job) -> Row:
        return Row(job, None, Finding("silent", "fail", "no sign of life for 45 min", 2700.0))

    async def recover_once(
        self, *, check: bool, older_than: float | None, then: OnLost | None, by: Peer | None
    ) -> list[Row]:
        self.asked.append((check, older_than, then, by))
        return [self.look(job) for job in await self._store.open_runs()]
