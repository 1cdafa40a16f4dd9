"""What handlers need of the daemon: ports, filled in by main."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from jobkeep.protocol import worker as wire
from jobkeep.protocol.vocabulary import OnConflict
from jobkeepd.clock import Clock
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Job, Peer
from jobkeepd.latch import Latch
from jobkeepd.store.base import Store
from jobkeepd.store.changes import NewJob, Submitted
from jobkeepd.supervisor.feed import Feed


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
        on_conflict: OnConflict,
    ) -> Latch[Submitted | Exception]:
        """Set to what was refused after this call, too; only ShuttingDown is raised."""

    async def cancel(self, job: str, by: Peer, *, force: bool, reason: str | None) -> Job: ...

    async def resume(self, job: str, by: Peer, *, failed_items: bool, reason: str | None) -> Job: ...

    async def restart(self, job: str, by: Peer, *, from_start: bool, reason: str | None) -> Job: ...

    async def wait(self, ids: Sequence[str], any: bool, timeout: float | None) -> list[Job]:
        """Those that have ended: all of them, or at least one with `any`, or fewer after the timeout. Full ids only."""

    def live(self, job: Job) -> Live | None:
        """None unless the job has an open run here."""


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

        Raises errors.UnknownWorker.
        """

    def beat(self, report: wire.BeatParameters) -> None: ...

    def progress(self, report: wire.ProgressParameters) -> None: ...

    def checkpoint(self, report: wire.CheckpointParameters) -> Awaitable[None]: ...

    def finish(self, report: wire.FinishParameters) -> Latch[None] | Awaitable[None]: ...

    async def failed_keys(self, report: wire.FailedKeysParameters) -> list[wire.ItemKey]: ...


class Outlet(Protocol):
    """Where a stream writes its replies."""

    def put(self, reply: Struct) -> None:
        """Write one without waiting: for streams that are short by nature."""

    async def send(self, reply: Struct) -> None:
        """Write one, and wait while the reader has too much unread."""

    @property
    def congested(self) -> bool:
        """The reader has too much unread."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Called once, when the stream is over for whatever reason."""

    def close(self) -> None:
        """Drop the connection."""


class Host(Protocol):
    """The daemon as a process."""

    def status(self) -> HostStatus: ...

    def stop(self) -> None:
        """Begin to end; returns at once."""


class HostStatus(Struct, frozen=True):
    version: str
    pid: int
    uptime: float
    rss_bytes: int
    socket: str
    state_dir: str
    runtime_dir: str
    sqlite_version: str
    limits: dict[str, int]  # queue -> limit


class Services(Struct, frozen=True):
    """Everything a handler can reach."""

    store: Store
    jobs: Jobs
    workers: Workers
    feed: Feed
    host: Host
    clock: Clock
    new_id: Callable[[], str]  # draws a job id
    output: Callable[[str, int, str], str]  # job, run number, stream -> where its output is at this moment
    queues: Callable[[], Sequence[str]]  # known queue names
