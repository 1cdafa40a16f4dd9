"""Watches the processes that hold locks: one task and one pidfd for each of them, however many locks it has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
from msgspec import Struct

from jobkeepd.core.model import Identity
from jobkeepd.runner.base import Processes


class Hold(Struct, frozen=True):
    """A lock in the hands of a client."""

    name: str
    token: int
    who: Identity


class Watch:
    """For one process. Its scope is made in its task: where holds are told of there is none."""

    def __init__(self) -> None:
        self.holds = 0
        self.scope: anyio.CancelScope | None = None


class Deathwatch:
    """`bury` is told of every hold of a process that has died. The other methods are called from no task."""

    def __init__(
        self, processes: Processes, group: anyio.abc.TaskGroup, bury: Callable[[Hold], Awaitable[None]]
    ) -> None:
        self._processes = processes
        self._group = group
        self._bury = bury
        self._holds: dict[str, Hold] = {}  # by lock
        self._watches: dict[Identity, Watch] = {}

    def watch(self, hold: Hold) -> None:
        """From now on. Of two holds of a lock the one with the higher token counts, whichever is told first."""
        known = self._holds.get(hold.name)
        if known is not None and known.token >= hold.token:
            return
        if known is not None:
            self._drop(known)
        self._holds[hold.name] = hold
        watch = self._watches.get(hold.who)
        if watch is None:
            watch = self._watches[hold.who] = Watch()
            self._group.start_soon(self._until_death, hold.who, watch, name=f"holder {hold.who.pid}")
        watch.holds += 1

    def over(self, name: str, token: int) -> None:
        """The holds of a lock up to this token."""
        known = self._holds.get(name)
        if known is not None and known.token <= token:
            self._drop(known)

    def _drop(self, hold: Hold) -> None:
        del self._holds[hold.name]
        watch = self._watches[hold.who]
        watch.holds -= 1
        if not watch.holds:
            del self._watches[hold.who]
            if watch.scope is not None:
                watch.scope.cancel()

    async def _until_death(self, who: Identity, watch: Watch) -> None:
        with anyio.CancelScope() as watch.scope:
            if watch.holds:
                await self._processes.ended(who)
        if not watch.holds:
            return
        del self._watches[who]
        holds = [hold for hold in self._holds.values() if hold.who == who]
        for hold in holds:
            del self._holds[hold.name]
        for hold in holds:
            await self._bury(hold)
