"""The composition root: arguments, configuration, adapters, supervisor, listener, signals."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.abc
import structlog

from jobkeepd import __version__, failures, instance, logs
from jobkeepd.clock import SystemClock
from jobkeepd.config import Config, load
from jobkeepd.draws import Draws
from jobkeepd.errors import DaemonError, StorageFailed
from jobkeepd.notify import notify
from jobkeepd.rpc.address import Address, bind
from jobkeepd.rpc.dispatch import Dispatch
from jobkeepd.rpc.listener import Listener
from jobkeepd.rpc.services import HostStatus, Services
from jobkeepd.rpc.settings import RpcSettings
from jobkeepd.runner.environment import Directories
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.pool import Pool
from jobkeepd.runner.spool import Spool
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.store.changes import Note
from jobkeepd.store.sqlite import SqliteStore
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.reports import Reports
from jobkeepd.supervisor.startup import Startup
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Environments, Workshop

log = structlog.get_logger()
TRIM_INTERVAL = 30.0
BACKLOG = 512


def run(argv: Sequence[str]) -> int:
    """The daemon in the foreground until SIGTERM; its exit status."""
    logs.hold_streams()
    arguments = _parser().parse_args(argv)
    try:
        config = load(arguments.config, os.environ, os.cpu_count() or 1, os.getuid())
        logs.configure(config.daemon.log_level, config.daemon.log_format)
        daemon = Daemon(config)
    except (DaemonError, OSError) as error:
        return _refuse(error)
    try:
        return daemon.run()
    except Exception as error:  # noqa: BLE001 - the last one who can tell what has ended the daemon
        return daemon.end_of(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jobkeepd",
        description="The job-control daemon, in the foreground until SIGTERM or SIGINT.",
        epilog="Without a file every key has its default. JOBKEEP_<SECTION>_<KEY> in the environment, such as "
        "JOBKEEP_JOBS_GRACE=30s, wins over the file. Exit status: 0 after it was asked to stop, 1 when it cannot "
        "start or has failed, 2 for a mistake in the command line or the configuration.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file; jobkeep's config.toml shows every key with its default"
    )
    parser.add_argument("--version", action="version", version=f"jobkeepd {__version__}")
    return parser


def _refuse(error: BaseException) -> int:
    why, hint = failures.explain(error) or (repr(error), None)
    sys.stderr.write(f"jobkeepd: cannot start: {why}\n" + (f"hint: {hint}\n" if hint else ""))
    return failures.status(error)


class Daemon:
    """Implements rpc.services.Host; everything the process is made of hangs on it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._draws = Draws()
        self._started = self._clock.monotonic()
        self._ending = anyio.Event()
        self._failure: Exception | None = None
        self._served = False
        self._boot = instance.boot_id()
        self.state = Path(config.daemon.state_dir)
        self.runtime = Path(config.daemon.runtime_dir)

    def run(self) -> int:
        """Nothing of another daemon's is touched before it is certain that there is none."""
        for path in (self.state, self.runtime):
            instance.private_directory(path)
        self._locks = [instance.InstanceLock(path) for path in (self.state, self.runtime)]
        address = bind(self._config.daemon.socket, BACKLOG)  # from now on callers wait: we answer after recovery
        try:
            for name in ("logs", "spool"):
                instance.private_directory(self.state / name)
            anyio.run(self._serve, address)
        finally:
            address.close()
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
            version=__version__,
            pid=os.getpid(),
            uptime=self._clock.monotonic() - self._started,
            rss_bytes=instance.resident_bytes(),
            socket=self._config.daemon.socket,
            state_dir=str(self.state),
            runtime_dir=str(self.runtime),
            sqlite_version=sqlite3.sqlite_version,
            limits={name: queue.limit for name, queue in self._config.queues.items()},
        )

    def stop(self) -> None:
        self._ending.set()

    # -- life ----------------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """The store is not to be trusted any more: end, and start again from what is on disk."""
        if self._failure is None:
            self._failure = error
            log.error("store_failed", error=str(error))
            self._ending.set()

    async def _serve(self, address: Address) -> None:
        async with Launcher(self.runtime) as launcher:  # starts the spawner: before the database is open
            feed = Feed()
            supervisor: Supervisor | None = None
            store = await SqliteStore.open(
                self.state / "jobs.sqlite",
                lambda entries: supervisor.on_entries(entries) if supervisor is not None else feed.publish(entries),
                self._fail,
            )
            try:
                async with anyio.create_task_group() as group:
                    surroundings = self._surroundings(launcher)
                    pool = Pool(launcher, surroundings, group, max_idle=2 * self._total_limit())
                    workshop = self._workshop(store, pool)
                    supervisor = Supervisor(workshop, self._config.queues, feed, group)
                    startup = Startup(
                        workshop,
                        supervisor.dispatcher,
                        launcher,
                        Spool(surroundings.directories.spool),
                        surroundings.outputs,
                        pool,
                        instance.last_boot_id(self.state) in (None, self._boot),
                    )
                    await startup.recover_once()
                    instance.remember_boot(self.state, self._boot)
                    reports = Reports(pool.workers, store, surroundings)
                    services = self._services(store, supervisor, reports, feed, surroundings)
                    await self._listen(address, services, supervisor, pool, group)
                    group.cancel_scope.cancel()
            finally:
                await store.aclose()

    async def _listen(
        self, address: Address, services: Services, supervisor: Supervisor, pool: Pool, group: anyio.abc.TaskGroup
    ) -> None:
        dispatch = Dispatch(services, {0, os.getuid()})
        listener = Listener(address, dispatch, RpcSettings(), self._clock)
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
            await self._ending.wait()
            notify("STOPPING=1")
            log.info("stopping", failed=self._failure is not None)
        finally:
            await listener.close()
            if self._failure is None:
                await supervisor.stop()
                await pool.retire_idle()

    async def _watch_signals(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                log.info("signal", number=int(number))
                self.stop()

    async def _keep_trimming(self, pool: Pool) -> None:
        while True:
            await anyio.sleep(TRIM_INTERVAL)
            pool.trim_once()

    # -- parts ---------------------------------------------------------------------------------------------------

    def _total_limit(self) -> int:
        return sum(queue.limit for queue in self._config.queues.values())

    def _surroundings(self, launcher: Launcher) -> Surroundings:
        directories = Directories(
            socket=self._config.daemon.socket,
            spool=str(self.state / "spool"),
            state=str(self.state),
        )
        outputs = Outputs(str(self.state / "logs"))
        outputs.prepare()
        return Surroundings(
            directories=directories,
            outputs=outputs,
            clock=self._clock,
            forget=launcher.forget,
            secret=instance.secret(self.state),
            grace=self._config.jobs.grace,
            checkpoint_every=self._config.jobs.checkpoint_every,
            settings=self._config.workers,
        )

    def _workshop(self, store: SqliteStore, pool: Pool) -> Workshop:
        return Workshop(
            store=store,
            runner=pool,
            clock=self._clock,
            settings=self._config.jobs,
            environments=Environments(store),
            cookie=self._draws.cookie,
            jitter=random.random,
            default_python=sys.executable,
            default_cwd=str(self.state),
        )

    def _services(
        self, store: SqliteStore, supervisor: Supervisor, reports: Reports, feed: Feed, surroundings: Surroundings
    ) -> Services:
        queues = tuple(self._config.queues)
        return Services(
            store=store,
            jobs=supervisor,
            workers=reports,
            feed=feed,
            host=self,
            clock=self._clock,
            new_id=self._draws.job_id,
            output=surroundings.outputs.path,
            queues=lambda: queues,
        )
