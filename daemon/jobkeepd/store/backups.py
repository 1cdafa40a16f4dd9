"""Backups of a database that goes on being written, and checks of it: by connections that only read, in threads.

A read transaction sees one moment of the database, and holds nobody up: the log just gets longer meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from jobkeepd.errors import BackupRefused, Corrupt, ShuttingDown
from jobkeepd.instance import sync_directory
from jobkeepd.store import trouble
from jobkeepd.store.opening import identify
from jobkeepd.store.schema import MIGRATIONS

PAGES: Final = 256  # of 4 KiB, at a time; each piece is on the disk before the next, or commits would wait for all
PROBLEMS: Final = 20  # that are told of a damaged database
RESERVE: Final = 64 << 20  # bytes of room that a backup leaves on its disk
_STEPS: Final = 100_000  # virtual machine instructions between looks at whether to go on
_T = TypeVar("_T")


class Backup(Struct, frozen=True):
    """One that was made, or found. `at`: UTC, None of a file that is no backup of ours; `boot` as well."""

    size: int
    jobs: int
    schema: int
    database_epoch: str
    at: float | None
    boot: str | None


class Health(Struct, frozen=True):
    problems: list[str]
    size: int


class Stop:
    """Set by the event loop, looked at by threads."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def look(self) -> None:
        """Raises ShuttingDown once it is set."""
        if self._event.is_set():
            raise ShuttingDown("the daemon is about to end")

    def __bool__(self) -> bool:
        return self._event.is_set()


class Backups:
    """Of one database. `kept` are folders that no backup goes to: what is there is the daemon's."""

    def __init__(self, database: Path, boot: str, kept: Sequence[Path]) -> None:
        self._database = database
        self._boot = boot
        self._kept = kept
        self._stop = Stop()
        self._busy: set[asyncio.Future[object]] = set()
        self._one = asyncio.Lock()

    async def back_up(self, to: Path, at: float, *, force: bool) -> Backup:
        """Whole and checked, under its name only then. Raises BackupRefused, Corrupt, ShuttingDown."""
        async with self._one:
            return await self._in_thread(partial(self._back_up, to, at, force))

    async def check(self) -> Health:
        """All of it is read. Raises ShuttingDown."""
        return await self._in_thread(partial(check, self._database, self._stop))

    async def aclose(self) -> None:
        """Give up what is under way."""
        self._stop.set()
        if self._busy:
            await asyncio.wait(self._busy)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        self._stop.look()
        running: asyncio.Future[_T] = asyncio.ensure_future(asyncio.to_thread(work))
        self._busy.add(running)  # type: ignore[arg-type]
        running.add_done_callback(self._busy.discard)
        return await asyncio.shield(running)  # a caller who leaves does not leave half a file

    def _back_up(self, to: Path, at: float, force: bool) -> Backup:
        to = Path(os.path.normpath(to))
        folder = to.parent
        real = Path(os.path.realpath(folder))
        if any(real.is_relative_to(os.path.realpath(kept)) for kept in self._kept):
            raise BackupRefused(f"{to}: a backup does not belong into the daemon's own directories")
        if os.path.lexists(to) and not (force and to.is_file()):
            more = " and no file" if force else ""
            raise BackupRefused(f"{to} is there already{more}; choose another name, or overwrite it with --force")
        try:
            _check_room(self._database, folder)
            with _partial(folder) as unfinished:
                copy(self._database, unfinished, self._stop)
                made = finish(unfinished, at, self._boot, self._stop)
                place(unfinished, to, force=force)
            return made
        except OSError as error:
            raise BackupRefused(f"{to} cannot be written: {error.strerror}") from error
        except sqlite3.Error as error:
            self._stop.look()
            raise BackupRefused(f"{to} cannot be written: {error}") from error


def _check_room(database: Path, folder: Path) -> None:
    """A disk that is full would stop jobs, too, where it is the same."""
    stat = os.statvfs(folder)
    needed, free = database.stat().st_size + RESERVE, stat.f_bavail * stat.f_frsize
    if free < needed:
        raise BackupRefused(f"{folder} has {free >> 20} MiB left, and {needed >> 20} MiB are needed")


@contextlib.contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """An empty file that only we may read; gone at the end, unless it was moved."""
    handle, name = tempfile.mkstemp(prefix=".jobkeep-", suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(name + ending).unlink(missing_ok=True)


def copy(database: Path, to: Path, stop: Stop, *, immutable: bool = False) -> None:
    """The database as of one moment, in small pieces. `immutable`: nobody writes to it. Raises sqlite3.Error."""
    mode = "immutable=1" if immutable else "mode=ro"
    with (
        closing(sqlite3.connect(f"{database.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(to, isolation_level=None)) as target,
        open(to, "rb") as file,
    ):
        target.execute("PRAGMA synchronous = OFF")  # we see to that

        def after(_status: int, _remaining: int, _total: int) -> None:
            stop.look()
            os.fdatasync(file.fileno())

        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from now on it sees this moment
        source.backup(target, pages=PAGES, progress=after)


def finish(path: Path, at: float, boot: str, stop: Stop) -> Backup:
    """Make one file of a copy, with its date; on the disk, and read again. Raises Corrupt, sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE").fetchall()
        put = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(put, [("backup_at", repr(at)), ("backup_boot", boot)])
        conn.execute("COMMIT")
    return describe(path, stop)


def describe(path: Path, stop: Stop) -> Backup:
    """What is in a file that nobody writes to. Raises Corrupt: not ours, newer than we are, or damaged."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as conn:
            schema = identify(conn, path, len(MIGRATIONS))
            if schema == 0:
                raise Corrupt(f"{path} is empty, and no backup")
            problems = _problems(conn, stop)
            if problems:
                raise Corrupt(f"{path} is damaged ({problems[0]})")
            meta = dict(conn.execute("SELECT key, value FROM meta"))
            (jobs,) = conn.execute("SELECT count(*) FROM job").fetchone()
    except sqlite3.DatabaseError as error:
        stop.look()
        raise Corrupt(f"{path} cannot be read as a database ({error})") from error
    at = meta.get("backup_at")
    return Backup(
        size=path.stat().st_size,
        jobs=jobs,
        schema=schema,
        database_epoch=meta["database_epoch"],
        at=None if at is None else float(at),
        boot=meta.get("backup_boot"),
    )


def place(unfinished: Path, to: Path, *, force: bool) -> None:
    """Under its name, whatever happens: all of it, or what was there before. Raises BackupRefused."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    if force:
        unfinished.replace(to)
    else:
        try:
            os.link(unfinished, to)
        except FileExistsError:
            raise BackupRefused(f"{to} is there already: somebody else was faster") from None
    sync_directory(to.parent)


def check(database: Path, stop: Stop) -> Health:
    """A database that others write to. What it cannot read is a problem, too."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as conn:
            problems = _problems(conn, stop)
    except sqlite3.Error as error:
        stop.look()
        if not trouble.is_damage(error):
            raise
        problems = [str(error)]
    return Health(problems, database.stat().st_size)


def _problems(conn: sqlite3.Connection, stop: Stop) -> list[str]:
    conn.set_progress_handler(lambda: bool(stop), _STEPS)
    found = [str(row[0]) for row in conn.execute(f"PRAGMA integrity_check({PROBLEMS})") if row[0] != "ok"]
    rows = conn.execute("PRAGMA foreign_key_check").fetchmany(PROBLEMS - len(found))
    return [*found, *(f"a row of {child} belongs to none of {parent}" for child, _, parent, _ in rows)]
