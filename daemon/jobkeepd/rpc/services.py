"""What handlers need of the daemon: ports, filled in by main."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Raw, Struct

from jobkeep.protocol import worker as wire
from jobkeep.protocol.admin import ReloadReply
from jobkeep.protocol.vocabulary import DrainCommands, OnConflict, OnLost
from jobkeepd.clock import Clock
from jobkeepd.core import firing
from jobkeepd.core.bulk import Answer, Verb
from jobkeepd.core.explain import LabelLimit
from jobkeepd.core.firing import Schedule, Terms
from jobkeepd.core.lease import Lock
from jobkeepd.core.liveness import Live
from jobkeepd.core.metrics import Metrics
from jobkeepd.core.model import Job, Peer, SavedCheckpoint
from jobkeepd.core.queueing import Order
from jobkeepd.latch import Latch
from jobkeepd.runner.stream_log import StreamLog
from jobkeepd.store.backups import Backup, Health
from jobkeepd.store.base import Store
from jobkeepd.store.changes import NewJob, Submitted
from jobkeepd.supervisor.cleanup import Cleaned
from jobkeepd.supervisor.drain import Report
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.queues import Queue
from jobkeepd.supervisor.recovery import Row
from jobkeepd.supervisor.sessions import SessionView


class Jobs(Protocol):
    """The supervisor, as people's verbs. All raise the errors of store/changes.py."""

    def submit(
        self,
        jobs: tuple[NewJob, ...],
        environments: tuple[tuple[str, bytes], ...],
        by: Peer,
        *,
        request: str | None,
        digest: str,
        on_conflict: OnConflict | None,
        others: bool = True,
    ) -> Latch[Submitted | Exception]:
        """Set to what was refused after this call, too; only ShuttingDown is raised."""

    async def cancel(self, job: str, by: Peer, *, force: bool, reason: str | None) -> Job: ...

    async def resume(self, job: str, by: Peer, *, failed_items: bool, reason: str | None) -> Job: ...

    async def restart(self, job: str, by: Peer, *, from_start: bool, reason: str | None) -> Job: ...

    async def remove(self, job: str, by: Peer, *, reason: str | None) -> str:
        """Its id."""

    async def act(
        self, verb: Verb, jobs: Sequence[Job], by: Peer, reason: str | None, as_of: float | None
    ) -> list[Answer]:
        """See supervisor/bulk.py."""

    async def wait(self, ids: Sequence[str], any: bool, timeout: float | None) -> list[Job]:
        """Those that have ended: all of them, or at least one with `any`, or fewer after the timeout. Full ids only."""

    def live(self, job: Job) -> Live | None:
        """None unless the job has an open run here."""


class Queues(Protocol):
    """Queues as a whole. See supervisor/queues.py."""

    @property
    def names(self) -> Sequence[str]:
        """Those that take jobs."""

    def get(self, name: str) -> Queue | None: ...

    def limit_of(self, job: Job) -> LabelLimit | None: ...

    def all(self) -> Sequence[Queue]: ...

    async def control(self, name: str, order: Order, by: Peer, *, limit: int | None, reason: str | None) -> Queue: ...


class Schedules(Protocol):
    """Jobs by the calendar. See supervisor/schedules.py."""

    def all(self) -> Sequence[Schedule]: ...

    def get(self, name: str) -> Schedule: ...

    def upcoming(self, schedule: Schedule) -> list[float]: ...

    def job_of(self, schedule: Schedule, id: str) -> NewJob: ...

    async def add(
        self, name: str, terms: Terms, environments: tuple[tuple[str, bytes], ...], by: Peer, *, replace: bool
    ) -> Schedule: ...

    async def control(self, name: str, order: firing.Order, by: Peer, reason: str | None) -> Schedule: ...

    async def remove(self, name: str, by: Peer, reason: str | None) -> Schedule: ...


class Drains(Protocol):
    """Quiescing the host."""

    @property
    def since(self) -> float | None:
        """UTC; None unless nothing is started."""

    async def drain(self, by: Peer | None, commands: DrainCommands, timeout: float | None) -> Report: ...

    def call_off(self, by: Peer | None) -> bool: ...


class Worker(Protocol):
    """A connected worker, as handlers see it; closing its connection means `detached`."""

    def detached(self) -> None: ...


class Workers(Protocol):
    """Where workers report. Calls that return an Awaitable take effect at once; awaiting means: durable.

    All but `attach` raise errors.StaleToken for a run or fence that is not current.
    """

    def attach(
        self, hello: wire.AttachParameters, peer: Peer, send: Callable[[wire.Order], None], close: Callable[[], None]
    ) -> Worker:
        """`send` writes one order to the worker, `close` drops the connection (used when the worker dials again).

        Raises errors.UnknownWorker, errors.WrongProtocol.
        """

    def beat(self, report: wire.BeatParameters) -> None: ...

    def progress(self, report: wire.ProgressParameters) -> None: ...

    def checkpoint(self, report: wire.CheckpointParameters) -> Awaitable[None]: ...

    def save_step(self, report: wire.SaveStepParameters) -> Awaitable[None]: ...

    def finish(self, report: wire.FinishParameters) -> Latch[None] | Awaitable[None]: ...

    async def failed_keys(self, report: wire.FailedKeysParameters) -> list[wire.ItemKey]: ...

    async def step_result(self, report: wire.StepResultParameters) -> Raw:
        """Raises errors.UnknownStep."""


class Commands(Protocol):
    """Where the processes of commands report. All raise errors.NotThisRun. See supervisor/command_reports.py."""

    async def progress(self, run: str, cookie: str, done: int, total: int | None, note: str | None) -> None: ...

    async def load(self, run: str, cookie: str) -> SavedCheckpoint: ...

    async def save(self, run: str, cookie: str, state: Raw) -> None: ...


class Locks(Protocol):
    """Locks of clients, and what people may know of all locks. See supervisor/locks.py."""

    @property
    def max_hold(self) -> float: ...

    async def acquire(self, name: str, lease: str, ttl_s: float | None, wait_s: float, peer: Peer) -> Lock: ...

    async def renew(self, name: str, token: int, linger_s: float, peer: Peer) -> None: ...

    async def release(self, name: str, token: int, peer: Peer) -> None: ...

    async def give_up(self, name: str, lease: str, peer: Peer) -> None: ...

    async def held(self) -> list[tuple[Lock, int]]: ...

    async def show(self, name: str) -> tuple[Lock, int]: ...

    async def reset(self, name: str, peer: Peer, *, force: bool, reason: str | None) -> tuple[Lock, str | None]: ...


class Sessions(Protocol):
    """Sessions, as people use them. See supervisor/sessions.py."""

    async def open(self, name: str, lease: str, ttl_s: float | None, wait_s: float, peer: Peer) -> tuple[Lock, Job]: ...

    async def views(self) -> list[SessionView]: ...

    async def view(self, name: str) -> SessionView: ...

    async def close(self, name: str, peer: Peer, *, force: bool, reason: str | None) -> str | None: ...


class Recovery(Protocol):
    """Recovery while the daemon lives. See supervisor/recovery.py."""

    def look(self, job: Job) -> Row: ...

    async def recover_once(
        self, *, check: bool, older_than: float | None, then: OnLost | None, by: Peer | None
    ) -> list[Row]: ...


class Cleanup(Protocol):
    """Processes of the host, and those that nobody owns. See supervisor/cleanup.py."""

    async def look(self) -> Cleaned: ...

    async def clean_once(self, *, dry_run: bool, by: Peer | None, reason: str | None) -> Cleaned: ...


class Backups(Protocol):
    """Copies of the database, and checks of it. See store/backups.py."""

    async def back_up(self, to: Path, at: float, *, force: bool) -> Backup: ...

    async def check(self) -> Health: ...

    async def aclose(self) -> None: ...


class Outlet(Protocol):
    """Where a stream writes its replies."""

    def put(self, reply: Struct) -> None:
        """Write one without waiting: for streams that are short by nature."""

    async def send(self, reply: Struct) -> None:
        """Write one, and wait while the reader has too much unread."""

    def pour(self, frames: bytes) -> None:
        """Write replies that are encoded already, at once and without waiting; `unread` says what became of it."""

    @property
    def unread(self) -> int:
        """Bytes of the connection that its reader has not taken."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Called once, when the stream is over for whatever reason."""

    def close(self) -> None:
        """Drop the connection."""


class Host(Protocol):
    """The daemon as a process."""

    def status(self) -> HostStatus: ...

    def reload(self) -> ReloadReply:
        """Read the configuration again."""

    def stop(self) -> float:
        """Begin to end, and do it at once if it has begun; the seconds that it may drain before."""


class HostStatus(Struct, frozen=True):
    boot_id: str
    version: str
    pid: int
    uptime: float
    rss_bytes: int
    socket: str
    state_dir: str
    runtime_dir: str
    sqlite_version: str
    config: str | None = None


class Services(Struct, frozen=True):
    """Everything a handler can reach."""

    store: Store
    jobs: Jobs
    queues: Queues
    schedules: Schedules
    drains: Drains
    workers: Workers
    commands: Commands
    locks: Locks
    sessions: Sessions
    recovery: Recovery
    cleanup: Cleanup
    backups: Backups
    feed: Feed
    metrics: Metrics
    host: Host
    clock: Clock
    new_id: Callable[[], str]  # draws a job id
    output: Callable[[str, int, str], StreamLog | None]  # job, run number, stream -> what it has written, open
