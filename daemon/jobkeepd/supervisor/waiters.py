"""Who waits for the end of which job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Entry


class Watch:
    """Told which of its jobs have ended."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._event = anyio.Event()

    def notify(self, job: str) -> None:
        self._ended.add(job)
        self._event.set()

    async def ended(self) -> set[str]:
        """Those since the last call, at least one."""
        await self._event.wait()
        ended, self._ended, self._event = self._ended, set(), anyio.Event()
        return ended


class Waiters:
    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    def notice(self, entries: Sequence[Entry]) -> None:
        if not self._watches:
            return
        for entry in entries:
            if entry.kind in ENDED_STATES and entry.job is not None:
                for watch in self._watches.get(entry.job, ()):
                    watch.notify(entry.job)

    @contextmanager
    def watch(self, jobs: set[str]) -> Iterator[Watch]:
        watch = Watch()
        for job in jobs:
            self._watches.setdefault(job, set()).add(watch)
        try:
            yield watch
        finally:
            for job in jobs:
                watches = self._watches[job]
                watches.discard(watch)
                if not watches:
                    del self._watches[job]
