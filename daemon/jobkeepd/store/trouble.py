"""What an error of SQLite means: for one change, for the disk, or for the database."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Final

from jobkeepd.errors import Corrupt, StorageFailed, StorageFull, StoreError, Unopenable

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Errors of one statement, its values or its constraints; all others of sqlite3 are the database's.
_OF_ONE_CHANGE: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)


def _kind(error: sqlite3.Error) -> int:
    return _code(error) & 0xFF


def is_full(error: Exception) -> bool:
    """No room, also where SQLite calls it an I/O error: its index of the WAL could not be made longer."""
    return isinstance(error, sqlite3.Error) and (
        _kind(error) == sqlite3.SQLITE_FULL or _code(error) == sqlite3.SQLITE_IOERR_SHMSIZE
    )


def is_failed_write(error: Exception) -> bool:
    """Also one beyond a quota: of that SQLite keeps the number to itself, and only ENOSPC is a full disk to it."""
    return isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_IOERR_WRITE


def is_of_the_database(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and _kind(error) not in _OF_ONE_CHANGE


def is_damage(error: Exception) -> bool:
    """The file, or the disk it is on."""
    damage = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, sqlite3.Error) and _kind(error) in damage and not is_full(error)


def corrupt(path: Path, found: str) -> Corrupt:
    return Corrupt(f"{path} is damaged ({found}); keep a copy of it, and restore a backup")


def on_opening(path: Path, error: sqlite3.Error, *, full: bool) -> StoreError:
    if _kind(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return corrupt(path, str(error))
    if full:
        return StorageFull(f"{path} cannot be opened: no space left on its device")
    why = f"{path} cannot be opened: {error}"
    if _kind(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return Unopenable(f"{why}; it and its directory must be writable")
    return StorageFailed(why)


def on_creating(path: Path, error: OSError) -> StoreError:
    why = f"{path} cannot be created: {error.strerror}"
    if error.errno in NO_ROOM:
        return StorageFull(why)
    return StorageFailed(why) if error.errno == errno.EIO else Unopenable(why)
