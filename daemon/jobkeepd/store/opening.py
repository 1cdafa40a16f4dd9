"""Opening the database: is it ours, is it whole, is it current. Runs in the writing connection's thread."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.lifecycle import WAITING
from jobkeepd.core.line import Line
from jobkeepd.core.model import Job
from jobkeepd.errors import Corrupt, Unopenable
from jobkeepd.instance import sync_directory
from jobkeepd.store import lookups, rows, trouble, wal
from jobkeepd.store.room import allot_index, is_out_of_room
from jobkeepd.store.schema import APPLICATION_ID, MIGRATIONS

# quick_check reads every page, some 200 MiB/s: a restart must not wait for a big database that closed well.
CHECK_ALWAYS: Final = 16 << 20
CHECK_UNCLEAN: Final = 128 << 20

PRAGMAS: Final[tuple[tuple[str, str | int], ...]] = (
    ("busy_timeout", 30_000),
    ("journal_mode", "wal"),
    ("synchronous", 2),  # FULL: an acknowledged change is on the disk
    ("foreign_keys", 1),
    ("trusted_schema", 0),
    ("journal_size_limit", wal.SIZE),
    ("wal_autocheckpoint", 0),  # wal.py sees to it, and to its errors
    ("cache_size", -16_000),
)
READER_PRAGMAS: Final[tuple[tuple[str, str | int], ...]] = (
    ("busy_timeout", 5_000),
    ("query_only", 1),
    ("trusted_schema", 0),
)
OPEN_RUNS: Final = f"SELECT {rows.JOB_COLUMNS} FROM job WHERE run_open = 1 ORDER BY seq"


class Opened(Struct, frozen=True):
    """What the store keeps in memory from the start."""

    epoch: int
    database_epoch: str
    next_job: int
    next_entry: int
    newest_at: float
    counts: Counter[tuple[str, JobState]]
    waiting: Counter[int]  # jobs that are not started, by owner
    active: list[Job]
    awaited: set[str]  # labels whose limits somebody waits for
    lines: dict[str, Line]
    unsettled: bool  # see SettleParents


def create_file(path: Path) -> None:
    """Make an empty file that only we may read, before there is a connection to it.

    Never again after that: closing the file would drop the locks of all connections.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        sync_directory(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise trouble.on_creating(path, error) from error


def set_pragmas(conn: sqlite3.Connection, pragmas: Sequence[tuple[str, str | int]]) -> None:
    """Set and read back: SQLite answers an impossible wish by ignoring it."""
    for name, value in pragmas:
        conn.execute(f"PRAGMA {name} = {value}").fetchall()
        (actual,) = conn.execute(f"PRAGMA {name}").fetchone()
        if actual != value:
            raise Unopenable(f"the database refuses {name} = {value}: it stays {actual}")


def prepare(conn: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> Opened:
    try:
        version = identify(conn, path, len(migrations))
        set_pragmas(conn, PRAGMAS)
        allot_index(path)
        if version:
            _check(conn, path)
        if version < len(migrations):
            migrate(conn, path, version, migrations)
        return _start_epoch(conn)
    except sqlite3.Error as error:
        raise trouble.on_opening(path, error, full=is_out_of_room(error, path)) from error


def identify(conn: sqlite3.Connection, path: Path, known: int) -> int:
    """The version of its schema. Raises Corrupt for a file that is not ours, or newer than we are."""
    (application,) = conn.execute("PRAGMA application_id").fetchone()
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    (tables,) = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0 and version == 0:
        return 0
    if application != APPLICATION_ID:
        raise Corrupt(f"{path} is a database of another program; move it away, or choose another state directory")
    if version > known:
        raise Corrupt(
            f"{path} was written by a newer jobkeep (schema {version}, this one knows {known});"
            " install that version again, or restore a backup"
        )
    return int(version)


def _check(conn: sqlite3.Connection, path: Path) -> None:
    (pages,) = conn.execute("PRAGMA page_count").fetchone()
    (page,) = conn.execute("PRAGMA page_size").fetchone()
    clean = conn.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone() == ("1",)
    if pages * page > (CHECK_ALWAYS if clean else CHECK_UNCLEAN):
        return
    (found,) = conn.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise trouble.corrupt(path, found)


def migrate(conn: sqlite3.Connection, path: Path, version: int, migrations: Sequence[Sequence[str]]) -> None:
    """All missing steps in one transaction, after a copy of the file as it was."""
    if version:
        back_up(conn, path.with_name(f"{path.name}.schema-{version}"))
    conn.execute("BEGIN IMMEDIATE")
    try:
        for statements in migrations[version:]:
            for statement in statements:
                conn.execute(statement)
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {len(migrations)}")
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def back_up(conn: sqlite3.Connection, to: Path) -> None:
    """A whole copy, or none: written beside its place and moved there."""
    partial = to.with_name(f"{to.name}.part")
    partial.unlink(missing_ok=True)
    create_file(partial)
    copy = sqlite3.connect(partial)
    try:
        conn.backup(copy)
    finally:
        copy.close()
    partial.replace(to)
    sync_directory(to.parent)


def _start_epoch(conn: sqlite3.Connection) -> Opened:
    conn.execute("BEGIN IMMEDIATE")
    put = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO "
    conn.execute(f"{put} NOTHING", ("database_epoch", secrets.token_hex(8)))
    conn.execute(f"{put} UPDATE SET value = CAST(value AS INTEGER) + 1", ("epoch", "1"))
    conn.execute(f"{put} UPDATE SET value = excluded.value", ("clean", "0"))
    conn.execute("COMMIT")
    meta = dict(conn.execute("SELECT key, value FROM meta").fetchall())
    newest = conn.execute("SELECT seq, newest_at FROM job ORDER BY seq DESC LIMIT 1").fetchone()
    last_job, newest_at = newest or (0, 0.0)
    (last_entry,) = conn.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    active = list(rows.readable(conn.execute(OPEN_RUNS)))
    counts: Counter[tuple[str, JobState]] = Counter()
    waiting: Counter[int] = Counter()
    for queue, state, owner, jobs in conn.execute(lookups.COUNTS):
        counts[queue, state] += jobs
        waiting[owner] += jobs if state in WAITING else 0
    return Opened(
        epoch=int(meta["epoch"]),
        database_epoch=meta["database_epoch"],
        next_job=last_job + 1,
        next_entry=last_entry + 1,
        newest_at=newest_at,
        counts=counts,
        waiting=waiting,
        active=active,
        awaited={label for (label,) in conn.execute(lookups.AWAITED)},
        unsettled=conn.execute(lookups.UNSETTLED).fetchone() is not None,
        lines={queue: Line(*line) for queue, *line in conn.execute("SELECT queue, at, clock, peak FROM line")},
    )


def mark_clean(conn: sqlite3.Connection) -> None:
    """The last write. The WAL goes into the database here, since closing the connection would hide its errors."""
    conn.execute("UPDATE meta SET value = '1' WHERE key = 'clean'")
    conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
