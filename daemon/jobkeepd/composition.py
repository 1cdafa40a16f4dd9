"""What the daemon is made of: the concrete adapters, chosen and put together as the configuration has them."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from jobkeepd import assembly, instance
from jobkeepd.clock import SystemClock
from jobkeepd.config import Config
from jobkeepd.draws import Draws
from jobkeepd.rpc.services import Host, Services
from jobkeepd.runner.base import Lookout, Reaper
from jobkeepd.runner.credentials import VARIABLE, Credentials
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.litter import Litter
from jobkeepd.runner.macos import MacReaper, MacSightings, PsutilTable
from jobkeepd.runner.pool import Pool
from jobkeepd.runner.reaper import PidfdReaper
from jobkeepd.runner.run_logs import RunLogs
from jobkeepd.runner.sightings import Sightings
from jobkeepd.runner.spool import Spool
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.store.backups import Backups
from jobkeepd.store.sqlite import SqliteStore
from jobkeepd.supervisor.audit import Audit
from jobkeepd.supervisor.claims import Claims
from jobkeepd.supervisor.cleanup import Cleanup
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.ownership import Owners
from jobkeepd.supervisor.reports import Reports
from jobkeepd.supervisor.sessions import Sessions
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Environments, Workshop

DATABASE = "jobs.sqlite"


class Composition:
    """Makes parts, and keeps what all of them share."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._draws = Draws()
        self._audit = Audit(self._clock)
        self._boot = instance.boot_id()
        self.state = Path(config.daemon.state_dir)
        self.runtime = Path(config.daemon.runtime_dir)
        self.database = self.state / DATABASE

    def _total_limit(self) -> int:
        return sum(queue.limit for queue in self._config.queues.values())

    def _workshop(
        self, store: SqliteStore, pool: Pool, surroundings: Surroundings, launcher: Launcher
    ) -> Workshop:
        return Workshop(
            store=store,
            runner=pool,
            clock=self._clock,
            settings=self._config.jobs,
            environments=Environments(store),
            spool=Spool(str(self.state / "spool")),
            stragglers=surroundings.stragglers,
            run_logs=RunLogs(surroundings.outputs),
            credentials=Credentials(os.environ.get(VARIABLE), str(self.runtime)),
            discard=surroundings.outputs.discard,
            may_live=launcher.may_live,
            clear_old=Litter(str(self.state / "logs"), str(self.state / "spool"), str(self.runtime)).clear,
            cookie=self._draws.cookie,
            jitter=random.random,
            default_python=sys.executable,
            default_cwd=str(self.state),
            boot_id=self._boot,
            locks=self._config.locks,
            recovery=self._config.recovery,
            retention=self._config.retention,
            logs=self._config.logs,
            most_log_bytes=assembly.most_log_bytes(self._config, assembly.access(self._config)),
            label_limits=assembly.label_limits(self._config),
            most_waiting=assembly.most_waiting(self._config, assembly.access(self._config)),
        )

    def _cleanup(self, supervisor: Supervisor, workshop: Workshop, surroundings: Surroundings, pool: Pool) -> Cleanup:
        claims = Claims(
            lambda: [task.job for task in supervisor.dispatcher.tasks.values()],
            workshop.store, surroundings.worker_cookie, lambda: pool.workers,
        )  # fmt: skip
        return Cleanup(self._owners(claims), self._reaper(), workshop, self._config.cleanup)

    def _owners(self, claims: Claims) -> Owners:
        families = assembly.families(self._config)
        return Owners(self._lookout(), claims, families, os.getuid(), self._config.cleanup.orphaned_for, self._clock)

    def _lookout(self) -> Lookout:
        if sys.platform == "darwin":
            return MacSightings(PsutilTable(), os.getuid(), self._boot, self._clock)
        return Sightings(str(self.runtime), os.getuid())

    def _reaper(self) -> Reaper:
        if sys.platform == "darwin":
            return MacReaper(PsutilTable(), os.getuid(), self._boot)
        return PidfdReaper(os.getuid())

    def _services(
        self, store: SqliteStore, supervisor: Supervisor, sessions: Sessions, cleanup: Cleanup, reports: Reports,
        feed: Feed, surroundings: Surroundings, host: Host,
    ) -> Services:  # fmt: skip
        return Services(
            store=store,
            jobs=supervisor,
            queues=supervisor.queues,
            schedules=supervisor.schedules,
            drains=supervisor.drain,
            workers=reports,
            commands=supervisor.commands,
            locks=supervisor.locks,
            sessions=sessions,
            recovery=supervisor.recovery,
            cleanup=cleanup,
            backups=Backups(self.database, self._boot, (self.state, self.runtime)),
            feed=feed,
            metrics=supervisor.metrics,
            host=host,
            clock=self._clock,
            new_id=self._draws.job_id,
            output=RunLogs(surroundings.outputs).open,
        )
