"""`jobkeepd restore FILE`: a backup in the place of the database, while there is no daemon.

Time goes backwards for the database alone: fences, tokens and runs of after the backup may still be out there. So all
that are given out from now on are higher, and a run of which it knows nothing may not live on.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from jobkeepd import arguments, failures, instance
from jobkeepd.commands.emergency import NOT_PERMITTED
from jobkeepd.commands.takeover import become_owner
from jobkeepd.composition import DATABASE
from jobkeepd.config import load
from jobkeepd.errors import AlreadyRunning, Corrupt, DaemonError, NotAdministrator, RunsUnknown
from jobkeepd.spawner import record
from jobkeepd.store import backups
from jobkeepd.store.opening import create_file

CONFLICT: Final = 5
JUMP: Final = 1_000_000_000  # more than anybody has given out since the backup; and 2^53 has room for millions of them


# What jobkeepd.service gives the daemon of the host; a shell of root's has none of it.
UNIT: Final[Mapping[str, str]] = {
    "STATE_DIRECTORY": "/var/lib/jobkeep",
    "RUNTIME_DIRECTORY": "/run/jobkeep",
    "CONFIGURATION_DIRECTORY": "/etc/jobkeep",
}


class Restored(Struct, frozen=True):
    """`kept`: the database that was there. `under_way`: runs that the next daemon looks for."""

    file: str
    database: str
    kept: str | None
    at: datetime | None
    jobs: int
    under_way: int
    schema: int
    database_epoch: str


def run(argv: Sequence[str]) -> int:
    """The exit status: 0, 1 if it could not be done, 2 for mistakes, 5 while something runs, 6 for who may not."""
    asked = arguments.parse_restore(argv)
    try:
        environ = meant(os.environ, UNIT, asked.config)
        path = asked.config or arguments.default_file(environ)
        config = load(path, environ, os.cpu_count() or 1, os.getuid())
        state, runtime = Path(config.daemon.state_dir), Path(config.daemon.runtime_dir)
        become_owner(state)
        report = restore(asked.file, state, runtime, instance.boot_id())
    except NotAdministrator as error:
        sys.stderr.write(f"jobkeepd: {error}\n")
        return NOT_PERMITTED
    except (AlreadyRunning, RunsUnknown) as error:
        failures.tell("", error)
        return CONFLICT
    except (DaemonError, OSError) as error:
        return failures.tell("", error)
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 0


def meant(environ: Mapping[str, str], unit: Mapping[str, str], config: Path | None) -> Mapping[str, str]:
    """`environ` of the daemon that it is about: one's own where it has a database, or where anything says which; else
    the host's, for root and its user."""
    if "STATE_DIRECTORY" in environ or "JOBKEEP_DAEMON_STATE_DIR" in environ:
        return environ
    state = load(config or arguments.default_file(environ), environ, 1, os.getuid()).daemon.state_dir
    if Path(state, DATABASE).exists() or not os.access(unit["STATE_DIRECTORY"], os.W_OK | os.X_OK):
        return environ
    return {**unit, **environ}


def restore(file: Path, state: Path, runtime: Path, boot: str) -> Restored:
    """Raises AlreadyRunning, Corrupt, RunsUnknown; until then nothing has changed."""
    for path in (state, runtime):
        instance.private_directory(path)
    locks = [instance.InstanceLock(path) for path in (state, runtime)]  # held to the end of this process
    fresh = state / f"{DATABASE}.restoring"
    try:
        found = _take(file, fresh)
        under_way = open_runs(fresh)
        _forget_others(runtime, under_way)
        epoch = renew(fresh)
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        kept = replace(state / DATABASE, fresh)
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(f"{fresh}{ending}").unlink(missing_ok=True)
    if found.boot is not None and found.boot != boot:
        instance.remember_boot(state, found.boot)  # so that the next daemon knows: what ran then is interrupted
    del locks
    return Restored(
        file=str(file),
        database=str(state / DATABASE),
        kept=None if kept is None else str(kept),
        at=None if found.at is None else datetime.fromtimestamp(found.at, UTC),
        jobs=found.jobs,
        under_way=len(under_way),
        schema=found.schema,
        database_epoch=epoch,
    )


def _take(file: Path, fresh: Path) -> backups.Backup:
    """A checked copy: what becomes of the file meanwhile is nothing to us."""
    if not file.is_file():
        raise Corrupt(f"{file}: there is no such file")
    fresh.unlink(missing_ok=True)
    create_file(fresh)
    try:
        # One with a log beside it is a database that somebody may have open, or whose end was no clean one.
        backups.copy(file, fresh, backups.Stop(), immutable=not Path(f"{file}-wal").exists())
    except sqlite3.DatabaseError as error:
        raise Corrupt(f"{file} cannot be read as a database ({error})") from error
    with closing(sqlite3.connect(fresh, isolation_level=None)) as conn, suppress(sqlite3.DatabaseError):
        conn.execute("PRAGMA journal_mode = DELETE").fetchall()
    try:
        return backups.describe(fresh, backups.Stop())
    except Corrupt as error:
        raise Corrupt(str(error).replace(str(fresh), str(file))) from None


def open_runs(database: Path) -> set[str]:
    """Ids of the runs that were under way."""
    with closing(sqlite3.connect(database)) as conn:
        return {f"{job}.{number}" for job, number in conn.execute("SELECT id, run_number FROM job WHERE run_open = 1")}


def _forget_others(runtime: Path, known: Set[str]) -> None:
    """Runs of after the backup: a later run of such a job would have their name, and find their records.

    Raises RunsUnknown for those that live.
    """
    records = {name: _runs_of(runtime, name) for name in _recorded(runtime)}
    others = {name: runs for name, runs in records.items() if runs and runs[-1] not in known}
    living = {name: runs[-1] for name, runs in others.items() if _lives(runtime, name)}
    if living:
        raise RunsUnknown(sorted(living.values()))
    for name in others:
        for path in (record.run_path(str(runtime), name), record.begun_path(str(runtime), name)):
            Path(path).unlink(missing_ok=True)


def _recorded(runtime: Path) -> Iterator[str]:
    with suppress(FileNotFoundError):
        for name in os.listdir(runtime / "runs"):
            run, _, kind = name.rpartition(".")
            if kind == record.RUN:
                yield run


def _runs_of(runtime: Path, name: str) -> tuple[str, ...]:
    """What it is the record of: one run, or those that a worker has begun, one after the other."""
    begun = record.begun(str(runtime), name)
    return (name,) if begun is None else begun


def _lives(runtime: Path, name: str) -> bool:
    """Its slot lives, and has not said that all of it is gone."""
    begun = record.read(str(runtime), name, record.LEADER) or {}
    slot = str(begun.get("slot", ""))
    if not slot or record.is_drained(str(runtime), name):
        return False
    return record.lock_holder(record.slot_lock(str(runtime), slot)) is not None


def renew(database: Path) -> str:
    """Make it another database than the one that went on after the backup; -> its new epoch."""
    epoch = secrets.token_hex(8)
    with closing(sqlite3.connect(database, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("BEGIN IMMEDIATE")
        put = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        conn.executemany(put, [("database_epoch", epoch), ("clean", "1")])
        conn.execute("UPDATE meta SET value = CAST(value AS INTEGER) + ? WHERE key = 'epoch'", (JUMP,))
        # A run keeps the fence that it was given: should it live, it is found by that.
        conn.execute("UPDATE job SET fence = fence + ?", (JUMP,))
        if conn.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'lock'").fetchone():
            conn.execute("UPDATE lock SET data = json_set(data, '$.token', token + ?1), token = token + ?1", (JUMP,))
        conn.execute("DELETE FROM meta WHERE key IN ('backup_at', 'backup_boot')")
        conn.execute("COMMIT")
    return epoch


def replace(database: Path, fresh: Path) -> Path | None:
    """Put it in place; where what was there is kept, with its log. A crash leaves the one or the other, never none."""
    if not database.exists():
        Path(f"{database}-wal").unlink(missing_ok=True)
        fresh.rename(database)
        instance.sync_directory(database.parent)
        return None
    _empty_log(database)
    number = 1
    while os.path.lexists(kept := database.with_name(f"{DATABASE}.before-restore-{number}")):
        number += 1
    os.link(database, kept)
    with suppress(FileNotFoundError):
        os.rename(f"{database}-wal", f"{kept}-wal")  # never beside another database than its own
    Path(f"{database}-shm").unlink(missing_ok=True)
    instance.sync_directory(database.parent)
    fresh.rename(database)
    instance.sync_directory(database.parent)
    return kept


def _empty_log(database: Path) -> None:
    """What is in the log goes into the database, where that is not damaged: then it is whole without it."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, isolation_level=None)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
