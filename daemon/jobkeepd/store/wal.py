"""The write-ahead log: made as long as it gets, and copied into the database before it gets longer.

SQLite would copy it by itself, but keeps the errors of that to itself: an fsync that failed would be tried again.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from jobkeepd.errors import StorageFailed
from jobkeepd.store.trouble import NO_ROOM

PAGES: Final = 2000
SIZE: Final = 32 + PAGES * (24 + 4096)  # a header, and one for each page
_PIECE: Final = 1 << 18


class Wal:
    """Of one database. Everything runs in the thread of the connection that writes."""

    def __init__(self, conn: sqlite3.Connection, database: Path) -> None:
        self._conn = conn
        self.database = database
        self._path = f"{database}-wal"

    def extend(self) -> None:
        """Give it its length: a commit that need not make the file longer takes a third less.

        What is behind the last valid frame, SQLite does not look at. It holds no locks on this file. Only where
        there is room to spare. Raises StorageFailed.
        """
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                missing = SIZE - os.fstat(fd).st_size
                stat = os.fstatvfs(fd)
                if missing <= 0 or stat.f_bavail * stat.f_frsize < 16 * missing:
                    return
                os.lseek(fd, 0, os.SEEK_END)
                while missing > 0:  # written: room that was only reserved is no faster
                    missing -= os.write(fd, bytes(min(missing, _PIECE)))
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise StorageFailed(f"{self._path} cannot be written: {error.strerror}") from error

    @property
    def outgrown(self) -> bool:
        """More pages are in it than it was made for. Once it was copied, SQLite cuts it at its next use."""
        return os.stat(self._path).st_size > SIZE

    def copy(self) -> None:
        """Into the database, after which the log is written from its beginning again. Raises sqlite3.Error."""
        self._conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
