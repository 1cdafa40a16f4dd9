"""Points the process's output at the files of a run, and back at the worker's own log."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Output:
    """Works on descriptors 1 and 2, so that children and C code write to the run's files too."""

    def __init__(self) -> None:
        self._log = (os.dup(1), os.dup(2))
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # not a text stream of our own
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._streams = (sys.stdout, sys.stderr)

    def redirect(self, stdout: str, stderr: str) -> None:
        """Raises OSError for a file that cannot be opened; then the log is still in place."""
        self._flush()
        first = os.open(stdout, _APPEND, 0o600)
        try:
            second = os.open(stderr, _APPEND, 0o600)
        except OSError:
            os.close(first)
            raise
        self._point(first, second)
        os.close(first)
        os.close(second)

    def restore(self) -> None:
        """Write out what is buffered, and go back to the log."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # whatever the job has put there
                stream.flush()
        sys.stdout, sys.stderr = self._streams
        self._flush()
        self._point(*self._log)

    def _flush(self) -> None:
        for stream in self._streams:
            with suppress(OSError, ValueError):  # full disk, or closed by the job
                stream.flush()

    @staticmethod
    def _point(first: int, second: int) -> None:
        os.dup2(first, 1)
        os.dup2(second, 2)
