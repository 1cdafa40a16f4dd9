"""The composition root: arguments, configuration, supervisor, listener, signals."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.abc
import structlog

from jobkeep.protocol.admin import ReloadReply
from jobkeepd import __version__, accounts, arguments, assembly, failures, heap, instance, logs, service
from jobkeepd.composition import Composition
from jobkeepd.config import Config, load
from jobkeepd.core.authz import Access
from jobkeepd.core.quota import Quota
from jobkeepd.errors import DaemonError, StorageFailed
from jobkeepd.notify import notify
from jobkeepd.reloading import Parts, Reloader
from jobkeepd.rpc.dispatch import Dispatch
from jobkeepd.rpc.listener import Listener
from jobkeepd.rpc.services import HostStatus, Services
from jobkeepd.rpc.settings import RpcSettings
from jobkeepd.runner.holders import HostProcesses
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.pool import Pool
from jobkeepd.runner.probes import Probes
from jobkeepd.store.changes import Note
from jobkeepd.store.sqlite import SqliteStore
from jobkeepd.supervisor.cleanup import AfterSessions
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.reports import Reports
from jobkeepd.supervisor.sessions import Sessions
from jobkeepd.supervisor.startup import Startup
from jobkeepd.supervisor.supervisor import Hosting, Supervisor

log = structlog.get_logger()
TRIM_INTERVAL, BACKLOG = 30.0, 512  # seconds; callers


def run(argv: Sequence[str]) -> int:
    """The daemon in the foreground until SIGTERM; its exit status."""
    logs.hold_streams()
    heap.set_up()
    named = arguments.parse(argv)

    def read() -> Config:
        path = named or arguments.default_file(os.environ)
        return load(path, os.environ, os.cpu_count() or 1, os.getuid())

    try:
        signal.signal(signal.SIGHUP, _too_early)
        config = read()
        logs.configure(config.daemon.log_level, config.daemon.log_format)
        daemon = Daemon(config, read, named or arguments.default_file(os.environ))
    except (DaemonError, OSError) as error:
        return _refuse(error)
    try:
        return daemon.run()
    except Exception as error:  # noqa: BLE001 - the last one who can tell what has ended the daemon
        return daemon.end_of(error)


def _too_early(number: int, frame: object) -> None:
    """Before it serves: the configuration was read just now. No SIG_IGN, which children would inherit."""


def _refuse(error: BaseException) -> int:
    return failures.tell("cannot start: ", error)


class Daemon(Composition):
    """Implements rpc.services.Host; everything the process is made of hangs on it."""

    def __init__(
        self, config: Config, read: Callable[[], Config] | None = None, file: Path | None = None
    ) -> None:
        super().__init__(config)
        self._file = None if file is None else str(file.absolute())
        self._started = self._clock.monotonic()
        self._ending, self._hurry = anyio.Event(), anyio.Event()
        self._failure: Exception | None = None
        self._served = False
        self._reloader: Reloader | None = None
        self._read = read

    def run(self) -> int:
        """Nothing of another daemon's is touched before it is certain that there is none."""
        for path in (self.state, self.runtime):
            instance.private_directory(path)
        self._locks = [instance.InstanceLock(path) for path in (self.state, self.runtime)]
        self._address = service.address(self._config.daemon.socket, BACKLOG)  # callers wait: we answer after recovery
        try:
            for name in ("logs", "spool"):
                instance.private_directory(self.state / name)
            anyio.run(self._serve)
        finally:
            self._address.close()
        return 1 if self._failure is not None else 0

    def end_of(self, error: Exception) -> int:
        """What `run` has raised, told once; the exit status."""
        causes = list(failures.leaves(error))
        known = [cause for cause in causes if failures.explain(cause) is not None]
        if not self._served and len(known) == len(causes):
            return _refuse(known[0])
        for cause in sorted(causes, key=lambda cause: not isinstance(cause, StorageFailed)):
            if isinstance(cause, StorageFailed):
                self._fail(cause)
            elif self._failure is None or cause not in known:  # after a failure of the store others follow
                log.error("crashed", error=repr(cause), exc_info=cause)
        return failures.FAILED

    # -- rpc.services.Host ---------------------------------------------------------------------------------------

    def status(self) -> HostStatus:
        return HostStatus(
            boot_id=self._boot,
            version=__version__,
            pid=os.getpid(),
            uptime=self._clock.monotonic() - self._started,
            rss_bytes=instance.resident_bytes(),
            socket=self._config.daemon.socket,
            state_dir=str(self.state),
            runtime_dir=str(self.runtime),
            sqlite_version=sqlite3.sqlite_version,
            config=self._file,
        )

    def stop(self) -> float:
        if self._ending.is_set():
            self._hurry.set()
        self._ending.set()
        return self._config.daemon.drain_timeout if self._config.daemon.on_stop == "drain" else 0.0

    def reload(self) -> ReloadReply:
        assert self._reloader is not None  # it is there before anybody can ask
        notify(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}")
        try:
            return self._reloader.reload()
        finally:
            notify("READY=1")

    def _keep(self, config: Config) -> None:
        self._config = config

    def _admit(self, access: Access, quota: Quota) -> None:
        self._listener.admit(access, quota)

    # -- life ----------------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """The store is not to be trusted any more: end, and start again from what is on disk."""
        if self._failure is None:
            self._failure = error
            _, hint = failures.explain(error) or (None, None)
            log.error("store_failed", error=str(error), hint=hint)
            self._ending.set()
            self._hurry.set()

    async def _serve(self) -> None:
        async with Launcher(self.runtime, audit=self._audit) as launcher:  # starts the spawner: before SQLite
            feed = Feed()
            supervisor: Supervisor | None = None
            store = await SqliteStore.open(
                self.database,
                lambda entries: supervisor.on_entries(entries) if supervisor is not None else feed.publish(entries),
                self._fail,
            )
            try:
                self._audit.open(store)
                async with anyio.create_task_group() as group:
                    surroundings = assembly.surroundings(
                        self._config, self._clock, launcher, self._audit, self.state, self.runtime
                    )
                    pool = Pool(launcher, surroundings, group, max_idle=2 * self._total_limit())
                    workshop = self._workshop(store, pool, surroundings, launcher)
                    processes = HostProcesses()
                    supervisor = Supervisor(workshop, processes, assembly.queues(self._config), feed, group)
                    same_boot = instance.last_boot_id(self.state) in (None, self._boot)
                    startup = Startup(
                        workshop, supervisor.dispatcher, launcher, surroundings.outputs, pool, group, same_boot
                    )
                    await startup.recover_once()
                    await supervisor.queues.recover_once()
                    await supervisor.schedules.recover_once(
                        assembly.schedules(self._config, surroundings.secret)
                    )
                    await supervisor.locks.leases.recover_once()
                    instance.remember_boot(self.state, self._boot)
                    reports = Reports(pool.workers, store, surroundings)
                    cleanup = self._cleanup(supervisor, workshop, surroundings, pool)
                    tools = assembly.session_tools(
                        Hosting(supervisor), Probes(launcher, surroundings.outputs), AfterSessions(cleanup, group),
                        processes, feed, self._draws.job_id,
                    )  # fmt: skip
                    sessions = Sessions(self._config.sessions, tools, workshop, supervisor.locks, group)
                    await sessions.recover_once()
                    cleanup.owners.ask(sessions.in_use)
                    parts = Parts(workshop, surroundings, supervisor, cleanup, self._admit)
                    self._reloader = Reloader(self._config, self._read or (lambda: self._config), self._keep, parts)
                    services = self._services(store, supervisor, sessions, cleanup, reports, feed, surroundings, self)
                    group.start_soon(cleanup.keep_cleaning, name="clean-up")
                    await self._listen(services, supervisor, pool, group)
                    group.cancel_scope.cancel()
            finally:
                await store.aclose()

    async def _listen(
        self, services: Services, supervisor: Supervisor, pool: Pool, group: anyio.abc.TaskGroup
    ) -> None:
        dispatch = Dispatch(services, assembly.access(self._config))
        settings = RpcSettings(connections=instance.spare_files(RpcSettings().connections))
        quota = accounts.quota(self._config.access)
        listener = self._listener = Listener(self._address, dispatch, settings, self._clock, quota)
        listener.start()
        self._served = True
        try:
            supervisor.start()
            group.start_soon(self._keep_trimming, pool, name="idle workers")
            await group.start(self._watch_signals, name="signals")  # whoever is told READY may send one at once
            data = {"version": __version__, "pid": os.getpid(), "epoch": services.store.epoch, "boot_id": self._boot}
            services.store.send(Note(kind="daemon_started", at=self._clock.now(), data=data))
            log.info("ready", socket=self._config.daemon.socket, **data)
            notify("READY=1")
            heap.settle()
            group.start_soon(service.keep_alive, name="watchdog")
            group.start_soon(service.keep_telling, services.store, name="status line")
            await self._ending.wait()
            notify("STOPPING=1")
            log.info("stopping", failed=self._failure is not None)
            if self._config.daemon.on_stop == "drain":
                await supervisor.drain.before_the_end(self._config.daemon.drain_timeout, self._hurry)
        finally:
            supervisor.locks.stop()
            await services.backups.aclose()
            await listener.close()
            if self._failure is None:
                await supervisor.stop()
                await pool.retire_idle()

    async def _watch_signals(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                log.info("signal", number=int(number))
                if number == signal.SIGHUP:
                    self.reload()
                else:
                    self.stop()

    async def _keep_trimming(self, pool: Pool) -> None:
        while True:
            await anyio.sleep(TRIM_INTERVAL)
            pool.trim_once()
