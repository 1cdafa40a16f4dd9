"""A file that holds room for the moment when the disk is full: enough to empty the log into the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from jobkeep.protocol.sizes import ROOM_NEEDED
from jobkeepd.store import wal
from jobkeepd.store.room import reserve
from jobkeepd.store.trouble import NO_ROOM

SIZE: Final = wal.SIZE + (1 << 20)
NEEDED: Final = ROOM_NEEDED  # restored only where that much is free: else it would cause the next shortage itself


class Ballast:
    """`low`: there is too little room even for this file. Where it cannot be made for another reason, there is none,
    and nothing is low."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = False
        self.low = False

    def restore(self) -> None:
        """Take the room again, if there is enough."""
        if self._held:
            return
        try:
            self._held = self._is_whole() or self._has_room()
            self.low = not self._held
        except OSError as error:
            self.low = error.errno in NO_ROOM
            if self.low:
                self.release()

    def release(self) -> bool:
        """Give the room to whoever needs it now; whether there was any."""
        self._held, self.low = False, True
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def would_fit(self) -> bool:
        """Whether that much is free, as far as the disk tells. Raises OSError."""
        stat = os.statvfs(self._path.parent)
        return stat.f_bavail * stat.f_frsize >= NEEDED

    def _is_whole(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return found.st_size == SIZE and found.st_blocks * 512 >= SIZE

    def _has_room(self) -> bool:
        if not self.would_fit():
            return False
        fd = os.open(self._path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            reserve(fd, NEEDED)  # a quota may leave less than the disk has
            os.ftruncate(fd, SIZE)
        finally:
            os.close(fd)
        return True
