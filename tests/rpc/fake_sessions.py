"""Sessions behind the wire: one that is well, and one that cannot be had."""

from __future__ import annotations

from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.lease import Lock
from jobkeepd.core.model import Identity, Job, Peer, Run
from jobkeepd.errors import LockTaken, SessionFailed, SessionInUse, UnknownSession
from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.sessions import SessionView
from jobkeepd.supervisor.settings import SessionSettings
from rpc.fake_locks import START, FakeLocks

RUN = Run(
    number=1, fence=1, state="running", seat="s", epoch=1, cookie="c", claimed_at=START, started_at=START,
    identity=Identity("boot-1", 4711, 7),
)  # fmt: skip
JOB = Job(
    seq=1, id="a1", spec=JobSpec(command=["driver"], key="session:browser", queue="sessions"), environment=None,
    owner=0, state="running", created_at=START, run=RUN,
)  # fmt: skip


class FakeSessions:
    """`browser` runs; `broken` ends at once."""

    def __init__(self, locks: FakeLocks, store: MemoryStore) -> None:
        self._locks = locks
        self._store = store
        self.closed: list[tuple[str, bool, str | None]] = []

    async def open(self, name: str, lease: str, ttl_s: float | None, wait_s: float, peer: Peer) -> tuple[Lock, Job]:
        await self.view(name)
        if name == "broken":
            raise SessionFailed(name, "it ended before it was ready: exit code 3", "b1")
        try:
            return await self._locks.acquire(f"session:{name}", lease, ttl_s, wait_s, peer), JOB
        except LockTaken as error:
            raise SessionInUse(name, error.lock) from None

    async def views(self) -> list[SessionView]:
        return [await self.view("broken"), await self.view("browser")]

    async def view(self, name: str) -> SessionView:
        settings = SessionSettings(command=("driver",), info={"url": "http://x"})
        if name == "broken":
            return SessionView(name, "dead", replace(JOB, id="b1"), None, None, 0, settings, "exit code 3")
        if name != "browser":
            raise UnknownSession(name, ["broken", "browser"])
        lock = await self._store.lock("session:browser")
        holder = lock if lock is not None and lock.holder is not None else None
        return SessionView(name, "in_use" if holder else "ready", JOB, holder, "", 2, settings)

    async def close(self, name: str, peer: Peer, *, force: bool, reason: str | None) -> str | None:
        self.closed.append((name, force, reason))
        return JOB.id
