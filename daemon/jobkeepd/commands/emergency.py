"""`jobkeepd emergency`: ends the daemon, whatever state it is in, and all that it manages; leaves nothing that starts.

It is no call to the daemon, which may hang: it takes the daemon's place. A daemon that may not listen, with the queues
paused, ends each run by its slot, so that true ends are on record. What is left it ends itself.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
import tempfile
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import structlog
from msgspec import Struct

from jobkeep.protocol.processes import EmergencyReport
from jobkeepd import arguments, failures, instance, logs
from jobkeepd.commands.takeover import become_owner, listener_of, lock_holder, take_over
from jobkeepd.composition import DATABASE
from jobkeepd.config import Config, load
from jobkeepd.core.lease import ClientHolder
from jobkeepd.core.model import Peer
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.errors import DaemonError, NobodyThere, NotAdministrator, StoreError
from jobkeepd.main import Daemon
from jobkeepd.rpc.handlers.processes import survivor, view
from jobkeepd.rpc.services import Services
from jobkeepd.runner.pool import Pool
from jobkeepd.runner.surroundings import Surroundings, worker_cookie
from jobkeepd.store.sqlite import SqliteStore
from jobkeepd.supervisor.claims import Claims
from jobkeepd.supervisor.cleanup import Cleanup, Row
from jobkeepd.supervisor.emergency import Emergency, Fate, Sweep, Toll
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
NOT_PERMITTED = 6
LEFT_OVER = 1


def run(argv: list[str]) -> int:
    """The exit status: 0, 1 if something lives on or it could not be done, 2 for mistakes, 6 for who may not."""
    logs.hold_streams()
    asked = arguments.parse_emergency(argv)
    try:
        by = Peer(uid=os.getuid(), gid=os.getgid(), pid=os.getppid())
        config = configuration(asked)
        become_owner(Path(config.daemon.state_dir))
        logs.configure("warning", "console")
        stand_in = StandIn(config, asked, by)
        report = stand_in.look() if asked.dry_run else stand_in.end_everything()
    except NotAdministrator as error:
        sys.stderr.write(f"jobkeepd: {error}\n")
        return NOT_PERMITTED
    except (DaemonError, OSError) as error:
        return failures.tell("", error)
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return LEFT_OVER if report.survivors else 0


# -- whose daemon it is ----------------------------------------------------------------------------------------------


def configuration(asked: arguments.Emergency) -> Config:
    """That of the daemon that listens there, by the kernel's word on who it is; else that of our own environment."""
    found = listener_of(asked.socket) if asked.socket else None
    environ, path = (os.environ, None) if found is None else found
    config = load(asked.config or path or arguments.default_file(environ), environ, os.cpu_count() or 1, os.getuid())
    if asked.socket and found is None and not is_same(asked.socket, config.daemon.socket):
        raise NobodyThere(asked.socket, config.daemon.socket)
    return config


def is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


# -- in its place ----------------------------------------------------------------------------------------------------


class Tools(Struct, frozen=True):
    """Of the daemon that stands in, once it is put together."""

    workshop: Workshop
    sweep: Sweep


class StandIn(Daemon):
    """A daemon that does not listen."""

    def __init__(self, config: Config, asked: arguments.Emergency, by: Peer) -> None:
        super().__init__(config)
        self._asked = asked
        self._by = by
        self._toll = Toll()
        self._sessions = 0

    def end_everything(self) -> EmergencyReport:
        for path in (self.state, self.runtime):
            instance.private_directory(path)
        self._locks, ended = take_over(self.state, self.runtime)
        for name in ("logs", "spool"):
            with suppress(OSError):
                instance.private_directory(self.state / name)
        try:
            anyio.run(self._serve)
        except BaseExceptionGroup as group:
            if group.split((StoreError, OSError))[1] is not None:
                raise
            self._without_store(group)
        except (StoreError, OSError) as error:
            self._without_store(error)
        return self._report(ended)

    def look(self) -> EmergencyReport:
        """What `end_everything` would do. Nothing is signalled, and nothing is written but a copy of the database."""
        with tempfile.TemporaryDirectory(prefix="jobkeep-") as folder:
            anyio.run(self._look, Path(folder))
        pid = lock_holder(self.state)
        return self._report([] if pid is None else [pid])

    async def _look(self, folder: Path) -> None:
        with suppress(sqlite3.Error):
            copy(self.state / DATABASE, folder / DATABASE)
        store = await SqliteStore.open(folder / DATABASE, lambda entries: None, self._fail)
        try:
            running = [job for job in await store.open_runs() if job.run is not None and job.run.state == "running"]
            secret = instance.known_secret(self.state) or secrets.token_bytes()  # there are no workers then
            claims = Claims(lambda: running, store, partial(worker_cookie, secret), lambda: ())
            if self.runtime.exists():
                await self._sweep(claims).look(self._toll)
            self._toll.sessions = sum(job.spec.queue == SESSIONS for job in running)
            self._toll.runs = len(running) - self._toll.sessions
            self._toll.locks = sum(isinstance(lock.holder, ClientHolder) for lock in await store.locks())
            self._toll.queues = len(self._config.queues)
        finally:
            await store.aclose()

    def _cleanup(
        self, supervisor: Supervisor, workshop: Workshop, surroundings: Surroundings, pool: Pool
    ) -> Cleanup:  # fmt: skip
        cleanup = super()._cleanup(supervisor, workshop, surroundings, pool)
        self._tools = Tools(workshop, Sweep(cleanup.owners, self._reaper(), os.getuid()))
        return cleanup

    async def _listen(self, services: Services, supervisor: Supervisor, pool: Pool, group: anyio.abc.TaskGroup) -> None:
        """In the place of listening: all is known by now of what runs."""
        pool.renounce()
        emergency = Emergency(supervisor, self._tools.sweep, self._tools.workshop, self._by, self._asked.reason)
        self._toll = await emergency.end_once()
        supervisor.locks.stop()
        await supervisor.stop()

    def _without_store(self, error: BaseException) -> None:
        """End what can be told for ours without it; nothing is on record."""
        log.error("emergency_without_store", error=str(error))
        claims = Claims(lambda: (), None, lambda seat: "", lambda: ())
        anyio.run(self._sweep(claims).end, self._toll)
        causes = [str(cause) for cause in failures.leaves(error)]
        self._toll.unrecorded = "; ".join(causes)

    def _sweep(self, claims: Claims) -> Sweep:
        return Sweep(self._owners(claims), self._reaper(), os.getuid())

    def _report(self, daemons: list[int]) -> EmergencyReport:
        toll, dry_run = self._toll, self._asked.dry_run
        rows = [_row(fate, dry_run) for fate in toll.fates.values()]
        rows += [Row(finding, "protected" if finding.fate == "protect" else "left", finding.reason)
                 for finding in toll.spared]  # fmt: skip
        return EmergencyReport(
            killed_count=sum(row.action == "killed" for row in rows),
            protected_count=sum(row.action == "protected" for row in rows),
            active_sessions=toll.sessions,
            survivors=[survivor(ended) for ended in toll.survivors],
            processes=[view(row, toll.now) for row in rows],
            dry_run=dry_run,
            daemon=daemons,
            runs=toll.runs,
            sessions=toll.sessions,
            locks=toll.locks,
            queues=toll.queues,
            unrecorded=toll.unrecorded,
        )


def _row(fate: Fate, dry_run: bool) -> Row:
    if fate.ended is None:
        return Row(fate.finding, "would_kill" if dry_run else "left", fate.finding.reason)
    if fate.ended.gone:
        return Row(fate.finding, "killed", fate.finding.reason)
    return Row(fate.finding, "left", fate.ended.why)


def copy(database: Path, to: Path) -> None:
    """A database that others write to, as of one moment."""
    with (
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)
