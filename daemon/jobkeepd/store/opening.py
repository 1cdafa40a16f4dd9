"""Opening the database: is it ours, is it whole, is it current. Runs in the writing connection's thread."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Job
from jobkeepd.errors import Corrupt, StorageFailed, StorageFull, StoreError
from jobkeepd.store import rows
from jobkeepd.store.schema import APPLICATION_ID, MIGRATIONS

# quick_check reads every page, some 200 MiB/s: a restart must not wait for a big database that closed well.
CHECK_ALWAYS: Final = 16 << 20
CHECK_UNCLEAN: Final = 128 << 20

WAL_PAGES: Final = 2000  # after so many, a checkpoint, and the WAL is written from its beginning again
PRAGMAS: Final[tuple[tuple[str, str | int], ...]] = (
    ("busy_timeout", 30_000),
    ("journal_mode", "wal"),
    ("synchronous", 2),  # FULL: an acknowledged change is on the disk
    ("foreign_keys", 1),
    ("trusted_schema", 0),
    ("journal_size_limit", 64 << 20),
    ("wal_autocheckpoint", WAL_PAGES),
    ("cache_size", -16_000),
)
READER_PRAGMAS: Final[tuple[tuple[str, str | int], ...]] = (
    ("busy_timeout", 5_000),
    ("query_only", 1),
    ("trusted_schema", 0),
)
OPEN_RUNS: Final = f"SELECT {rows.JOB_COLUMNS} FROM job WHERE run_open = 1 ORDER BY seq"


# Each by an index alone: a start does not read the jobs.
COUNTS: Final = (
    "SELECT queue, state, count(*) FROM job WHERE state IN ('succeeded', 'failed', 'cancelled')"
    " GROUP BY queue, state",
    "SELECT queue, state, count(*) FROM job WHERE state = 'queued' AND run_open = 0 GROUP BY queue",
    "SELECT queue, state, count(*) FROM job WHERE state = 'scheduled' GROUP BY queue",
)


class Opened(Struct, frozen=True):
    """What the store keeps in memory from the start."""

    epoch: int
    database_epoch: str
    next_job: int
    next_entry: int
    newest_at: float
    counts: Counter[tuple[str, JobState]]
    active: list[Job]


def create_file(path: Path) -> None:
    """Make an empty file that only we may read, before there is a connection to it.

    Never again after that: closing the file would drop the locks of all connections.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StorageFailed(f"{path} cannot be created: {error.strerror}") from error


def set_pragmas(conn: sqlite3.Connection, pragmas: Sequence[tuple[str, str | int]]) -> None:
    """Set and read back: SQLite answers an impossible wish by ignoring it."""
    for name, value in pragmas:
        conn.execute(f"PRAGMA {name} = {value}").fetchall()
        (actual,) = conn.execute(f"PRAGMA {name}").fetchone()
        if actual != value:
            raise StorageFailed(f"the database refuses {name} = {value}: it stays {actual}")


def prepare(
    conn: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> Opened:
    try:
        version = _identify(conn, path, len(migrations))
        set_pragmas(conn, PRAGMAS)
        if version:
            _check(conn, path)
        if version < len(migrations):
            migrate(conn, path, version, migrations)
        return _start_epoch(conn)
    except sqlite3.Error as error:
        raise as_store_error(path, error) from error


def as_store_error(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _corrupt(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(f"{path} cannot be opened: no space left on its device")
    hint = ""
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        hint = "; it and its directory must be writable"
    return StorageFailed(f"{path} cannot be opened: {error}{hint}")


def _identify(conn: sqlite3.Connection, path: Path, known: int) -> int:
    """The version of its schema. Raises Corrupt for a file that is not ours, or newer than we are."""
    (application,) = conn.execute("PRAGMA application_id").fetchone()
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    (tables,) = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0 and version == 0:
        return 0
    if application != APPLICATION_ID:
        raise Corrupt(
            f"{path} is a database of another program; move it away, or choose another state directory"
        )
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
        raise _corrupt(path, found)


def _corrupt(path: Path, found: str) -> Corrupt:
    return Corrupt(f"{path} is damaged ({found}); keep a copy of it, and restore a backup")


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
    active = [rows.job_from_row(row) for row in conn.execute(OPEN_RUNS)]
    counts: Counter[tuple[str, JobState]] = Counter((job.spec.queue, job.state) for job in active)
    for sql in COUNTS:
        counts.update({(queue, state): count for queue, state, count in conn.execute(sql)})
    return Opened(
        epoch=int(meta["epoch"]),
        database_epoch=meta["database_epoch"],
        next_job=last_job + 1,
        next_entry=last_entry + 1,
        newest_at=newest_at,
        counts=counts,
        active=active,
    )


def extend_wal(path: Path) -> None:
    """Make the WAL as long as it is going to be: a commit that need not make the file longer takes a third less.

    What is behind the last valid frame, SQLite does not look at. It holds no locks on this file. Only where
    there is room to spare; that it fails is no matter.
    """
    with contextlib.suppress(OSError):
        fd = os.open(f"{path}-wal", os.O_WRONLY | os.O_CLOEXEC)
        try:
            missing = WAL_PAGES * (4096 + 24) - os.fstat(fd).st_size
            stat = os.fstatvfs(fd)
            if stat.f_bavail * stat.f_frsize < 16 * missing:
                return
            os.lseek(fd, 0, os.SEEK_END)
            while missing > 0:
                missing -= os.write(fd, bytes(1 << 18))  # written: room that was only reserved is no faster
            os.fsync(fd)
        finally:
            os.close(fd)


def mark_clean(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE meta SET value = '1' WHERE key = 'clean'")
