"""What runs have written, wherever it is at this moment: for who reads it, and for rotation."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, Final

import anyio.to_thread

from jobkeepd.runner.holes import can_punch
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.stream_log import StreamLog, folder_of

_ROTATED: Final = re.compile(r"([^.]+)\.([0-9]+)\.(stdout|stderr)")


class RunLogs:
    """A stream is named by its job, the number of its run, and which of the two it is."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    def open(self, job: str, number: int, stream: str, *, rotate: bool = False) -> StreamLog | None:
        """At once, since the next run may write at its path a moment later. Raises OSError."""
        folder = folder_of(self._outputs.rotated, job, number, stream)
        return StreamLog.open(self._outputs.path(job, number, stream), folder, rotate=rotate)

    def written(self, job: str, number: int, stream: str) -> int:
        """How many bytes, those that are gone included."""
        try:
            return os.stat(self._outputs.path(job, number, stream)).st_size
        except OSError:
            return 0

    def rotated(self) -> list[tuple[str, int, str]]:
        """All that has been rotated."""
        found = (_ROTATED.fullmatch(name) for name in os.listdir(self._outputs.rotated))
        return [(name[1], int(name[2]), name[3]) for name in found if name is not None]

    async def can_rotate(self) -> bool:
        """Whether the file system can give the room of a file's beginning back. Raises OSError."""
        return await anyio.to_thread.run_sync(can_punch, self._outputs.rotated)

    async def rotate(self, job: str, number: int, stream: str, deed: Callable[[StreamLog], Any]) -> bool:
        """Do it to a stream, in a thread; False where there is nothing. Raises OSError."""
        log = self.open(job, number, stream, rotate=True)
        if log is None:
            return False
        try:
            await anyio.to_thread.run_sync(deed, log)
        finally:
            log.close()
        return True
