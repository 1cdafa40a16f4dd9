"""Files that nobody comes for: output of seats that are gone, logs of their workers, what could not be read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import anyio.to_thread

from jobkeepd.spawner import record


class Litter:
    """Of one daemon. What a run has written is not here: that goes with its job."""

    def __init__(self, logs: str, spool: str, runtime: str) -> None:
        self._logs = logs
        self._spool = spool
        self._runtime = runtime

    async def clear(self, before: float, needed: set[str]) -> None:
        """Delete what was written last before then (UTC), unless its seat lives or is `needed`. In a thread."""
        await anyio.to_thread.run_sync(self._clear, before, needed)

    def _clear(self, before: float, needed: set[str]) -> None:
        for path, seat in self._found():
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime < before and (seat is None or not self._is_in_use(seat, needed)):
                    os.unlink(path)

    def _found(self) -> Iterator[tuple[str, str | None]]:
        for folder in (f"{self._logs}/seats", f"{self._logs}/workers"):
            for name in os.listdir(folder):
                yield f"{folder}/{name}", name.rpartition(".")[0]
        for name in os.listdir(self._spool):
            if name.endswith(".bad"):
                yield f"{self._spool}/{name}", None

    def _is_in_use(self, seat: str, needed: set[str]) -> bool:
        return seat in needed or record.lock_holder(record.slot_lock(self._runtime, seat)) is not None
