"""One life of the daemon on the host: the real supervisor, pool and seats over the store in memory."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import trio

from jobkeep.protocol import worker as wire
from jobkeepd.core.model import Entry, Peer
from jobkeepd.errors import StaleToken, StorageFailed
from jobkeepd.latch import Latch
from jobkeepd.runner.environment import Directories
from jobkeepd.runner.pool import Pool
from jobkeepd.runner.settings import WorkerSettings
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.store.changes import Change, MarkRunning, SaveProgress
from jobkeepd.store.memory import MemoryStore
from jobkeepd.store.memory_ledger import MemoryLedger
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.reports import Attachment, Reports
from jobkeepd.supervisor.settings import JobSettings, LockSettings, QueueSettings, RecoverySettings
from jobkeepd.supervisor.startup import Startup
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Environments, Workshop

from .host import Host
from .link import Link
from .processes import Process
from .slots import HostOutputs, HostProcesses, HostSpool, HostStragglers, Slots, state_of

LIMITS = {"default": 3, "single": 1}
SETTINGS = JobSettings(late_after=1.5, grace=2.0, heartbeat_interval=1.0, heartbeat_log_interval=600.0)
LOCKS = LockSettings(ttl=2.0, max_hold=3600.0)
RECOVERY = RecoverySettings(interval=5.0, older_than=40.0)


class WritingStore(MemoryStore):
    """As with a disk, what is asked for is done a little later, in order; what was not done by a kill never is."""

    def __init__(
        self, host: Host, on_entries: Callable[[list[Entry]], None], ledger: MemoryLedger, epoch: int
    ) -> None:
        self.failures: list[Exception] = []
        super().__init__(on_entries, self.failures.append, epoch=epoch, ledger=ledger)
        self._host = host
        self._queue: deque[tuple[Change, Callable[[Any], None] | None]] = deque()
        self._bell = trio.Event()
        self.dead = False

    async def apply(self, change: Change) -> Any:
        if self.dead:
            raise StorageFailed("the daemon is dead")
        done: Latch[Any] = Latch()
        self.post(change, done.set)
        outcome = await done.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def post(self, change: Change, told: Callable[[Any], None]) -> None:
        self._queue.append((change, told))
        self._bell.set()

    def send(self, change: Change) -> None:
        self._queue.append((change, None))
        self._bell.set()

    async def write(self) -> None:
        while True:
            await self._bell.wait()
            self._bell = trio.Event()
            await self._host.latency()
            batch, self._queue = self._queue, deque()
            answers = [(told, self._outcome(change, told)) for change, told in batch]
            await self._host.latency()
            for told, outcome in answers:
                if told is not None:
                    told(outcome)

    def _outcome(self, change: Change, told: object) -> Any:
        try:
            return self._commit(change)
        except Exception as error:  # noqa: BLE001 - it is the answer, or a failure
            expected = isinstance(error, StaleToken) and isinstance(change, SaveProgress | MarkRunning)
            if told is None and not expected:
                self.failures.append(error)
            return error


class Done:
    """The answer to a worker's call."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._outcome: object = None

    def set(self, outcome: object) -> None:
        self._outcome = outcome
        self._event.set()

    async def wait_or(self, closed: trio.Event) -> object:
        """True, or the error; None when the connection is closed before."""
        async with trio.open_nursery() as nursery:

            async def watch(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch, closed)
            nursery.start_soon(watch, self._event)
        return self._outcome


class Daemon:
    """`alive` until it is killed: then nothing that it still does has an effect."""

    def __init__(self, host: Host, ledger: MemoryLedger, epoch: int, on_entries: Callable[[list[Entry]], None]) -> None:
        self.host = host
        self.alive = True
        self.supervisor: Supervisor | None = None
        self.ready = trio.Event()
        self._on_entries = on_entries
        self._links: dict[Link, Attachment] = {}
        self._cookies = itertools.count(epoch * 1000)
        self._random = random.Random(host.rng.random())
        self.store = WritingStore(host, self._heard, ledger, epoch)

    def _heard(self, entries: list[Entry]) -> None:
        self._on_entries(entries)
        if self.supervisor is not None:
            self.supervisor.on_entries(entries)

    async def live(self) -> None:
        """As main does it, until it is killed."""
        host = self.host
        async with anyio.create_task_group() as group:
            self.group = group
            group.start_soon(self.store.write)
            outputs = HostOutputs(host)
            slots = Slots(self)
            surroundings = Surroundings(
                directories=Directories("/socket", "/spool", "/", "/runtime"),
                outputs=outputs,  # type: ignore[arg-type]
                clock=host,
                forget=slots.forget,
                secret=b"secret",
                grace=SETTINGS.grace,
                checkpoint_every=5,
                settings=WorkerSettings(idle_timeout=20.0, start_timeout=5.0),
                stragglers=HostStragglers(self),  # type: ignore[arg-type]
                heartbeat=SETTINGS.heartbeat_interval,
                state_of=state_of(host),
            )
            pool = Pool(slots, surroundings, group, max_idle=4)
            queues = {name: QueueSettings(limit=limit) for name, limit in LIMITS.items()}
            workshop = self._workshop(pool)
            self.supervisor = supervisor = Supervisor(workshop, HostProcesses(host), queues, Feed(), group)
            same_boot = host.last_boot in (None, host.boot)
            startup = Startup(workshop, supervisor.dispatcher, slots, outputs, pool, group, same_boot)  # type: ignore[arg-type]
            await startup.recover_once()
            await supervisor.locks.leases.recover_once()
            host.last_boot = host.boot
            self.reports = Reports(pool.workers, self.store, surroundings)
            host.daemon = self
            supervisor.start()
            self.ready.set()
            await anyio.sleep_forever()

    def _workshop(self, pool: Pool) -> Workshop:
        return Workshop(
            store=self.store,
            runner=pool,
            clock=self.host,
            settings=SETTINGS,
            environments=Environments(self.store),
            spool=HostSpool(self),  # type: ignore[arg-type]
            stragglers=HostStragglers(self),  # type: ignore[arg-type]
            cookie=lambda: f"cookie{next(self._cookies)}",
            jitter=self._random.random,
            default_python="/usr/bin/python3",
            default_cwd="/",
            boot_id=self.host.boot_id,
            locks=LOCKS,
            recovery=RECOVERY,
        )

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False
        self.store.dead = True
        if self.host.daemon is self:
            self.host.daemon = None
        for link in list(self._links):
            link.close()
        self.group.cancel_scope.cancel()

    # -- what workers say ------------------------------------------------------------------------------------------

    def attach(self, hello: wire.AttachParameters, link: Link, process: Process) -> None:
        """Raises StaleToken, UnknownWorker."""
        attachment = self.reports.attach(hello, Peer(0, 0, hello.pid), link.put, link.close)
        self._links[link] = attachment
        self.group.start_soon(self._detach, link, process)

    async def _detach(self, link: Link, process: Process) -> None:
        async with trio.open_nursery() as nursery:

            async def watch(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch, link.closed)
            nursery.start_soon(watch, process.ended)
        await self.host.latency()
        link.close()
        self._links.pop(link).detached()

    def tell(self, method: str, report: Any) -> None:
        """A report without a reply."""
        try:
            getattr(self.reports, method)(report)
        except StaleToken:
            return

    def call(self, method: str, report: Any, link: Link) -> Done:
        """Raises StaleToken at once; the rest comes with the answer."""
        taken = getattr(self.reports, method)(report)
        done = Done()
        if isinstance(taken, Latch):
            taken.then(lambda _: done.set(True))
        else:
            self.group.start_soon(self._answer, taken, done)
        return done

    async def _answer(self, taken: Any, done: Done) -> None:
        try:
            await taken
        except Exception as error:  # noqa: BLE001 - it is the answer
            done.set(error)
        else:
            done.set(True)
