"""On record that a run has begun, before it does: so that, with worker and daemon dead, one that has not runs again."""

from __future__ import annotations

import os
from contextlib import suppress


class BegunRecord:
    """The names of the runs that this process has begun, a line each. Without the file nothing is proven of any run.

    Not synced: it needs to outlive processes, not the host.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: int | None = None
        if path is not None:
            with suppress(OSError):
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def add(self, run: str) -> None:
        """In one write. Raises OSError if neither it can be written nor the file removed: then it must not begin."""
        if self._file is None:
            return
        line = f"{run}\n".encode()
        with suppress(OSError):
            if os.write(self._file, line) == len(line):
                return
        assert self._path is not None
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        os.close(self._file)
        self._file = None
