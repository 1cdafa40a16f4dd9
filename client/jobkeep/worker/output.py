"""Points the process's output at the files of a run, and back at the worker's own log."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class OutputFile:
    """The file at a path, kept open from run to run: the runs of a seat mostly write to the same."""

    def __init__(self) -> None:
        self._path = ""
        self._identity = (-1, -1)
        self._descriptor = -1

    def descriptor_of(self, path: str) -> int:
        """Open what is at `path` now, unless that is what is open already. Raises OSError."""
        if path == self._path:
            with suppress(FileNotFoundError):  # it got a name of its own, with what the last run wrote
                status = os.stat(path)
                if (status.st_dev, status.st_ino) == self._identity:
                    return self._descriptor
        opened = os.open(path, _APPEND, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        status = os.fstat(opened)
        self._path, self._identity, self._descriptor = path, (status.st_dev, status.st_ino), opened
        return opened

    @property
    def is_empty(self) -> bool:
        """It was opened, and nothing has been written to it."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_size == 0


class Output:
    """Works on descriptors 1 and 2, so that children and C code write to the run's files too."""

    def __init__(self) -> None:
        self._log = (os.dup(1), os.dup(2))
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # not a text stream of our own
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._streams = (sys.stdout, sys.stderr)
        self._first = OutputFile()
        self._second = OutputFile()

    def redirect(self, stdout: str, stderr: str) -> None:
        """Raises OSError for a file that cannot be opened; then the log is still in place."""
        self._flush()
        self._point(self._first.descriptor_of(stdout), self._second.descriptor_of(stderr))

    def restore(self) -> None:
        """Write out what is buffered, and go back to the log."""
        streams = self._streams
        if sys.stdout is not streams[0] or sys.stderr is not streams[1]:  # whatever the job has put there
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            sys.stdout, sys.stderr = streams
        self._flush()
        self._point(*self._log)

    @property
    def silent(self) -> bool:
        """Nothing is in the files that were the last run's."""
        return self._first.is_empty and self._second.is_empty

    def _flush(self) -> None:
        for stream in self._streams:
            try:
                stream.flush()
            except (OSError, ValueError):  # full disk, or closed by the job
                continue

    @staticmethod
    def _point(first: int, second: int) -> None:
        os.dup2(first, 1)
        os.dup2(second, 2)
