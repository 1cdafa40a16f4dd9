"""Reports kept on disk while there is no daemon to take them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from jobkeep.worker.wire import encode


class Spool:
    """Files RUN.checkpoint and RUN.finish in a directory, durable once `write` has returned."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self.written: set[str] = set()  # files of this process

    def write(self, name: str, report: Struct) -> None:
        """Put `report` in place of what was there. Raises OSError; then the old one is still there."""
        path = self._directory / name
        temporary = self._directory / f".{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(encode(report))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        self._sync_directory()
        self.written.add(name)

    def remove(self, name: str) -> None:
        """The daemon has it. A file of another process is not touched."""
        if name in self.written:
            self.written.discard(name)
            with suppress(OSError):  # an old report is refused by its fence and seq
                os.unlink(self._directory / name)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
