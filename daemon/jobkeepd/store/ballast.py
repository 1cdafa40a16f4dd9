"""A file that holds a little room for the moment when the disk is full."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SIZE = 1 << 20
_SPARE = 4 * SIZE  # restored only where that much would still be free: else it would cause the next shortage


class Ballast:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.held = False

    def restore(self) -> None:
        """Take the room again, if there is enough."""
        with contextlib.suppress(OSError):
            if self._path.is_file() and self._path.stat().st_size == SIZE:
                self.held = True
                return
            stat = os.statvfs(self._path.parent)
            if stat.f_bavail * stat.f_frsize < SIZE + _SPARE:
                return
            fd = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.truncate(fd, 0)
                for _ in range(SIZE >> 16):  # written, not fallocated: it must cost blocks everywhere
                    os.write(fd, b"\xaa" * (1 << 16))
            finally:
                os.close(fd)
            self.held = self._path.stat().st_size == SIZE

    def release(self) -> None:
        """Give the room to whoever needs it now."""
        self.held = False
        with contextlib.suppress(OSError):
            self._path.unlink()
