"""The pages of locks, queues and schedules, sessions and processes, and the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobkeep.web.changes import Part
from jobkeep.web.model import locks, processes, queues, system
from jobkeep.web.screens.base import Desk, Picture, Still, now

PROCESSES_S: Final = 5.0  # a look at all processes of a host is dear


@dataclass(frozen=True, slots=True)
class Locks(Still):
    template = "locks"
    key = "locks"
    live = "/live/locks"

    async def look(self, desk: Desk) -> Picture:
        rows = locks.rows(await desk.connection.locks(), now())
        return Picture([Part("locks", desk.pages.part("locks", rows=rows))], bool(rows))


@dataclass(frozen=True, slots=True)
class Queues(Still):
    template = "queues"
    key = "queues"
    live = "/live/queues"

    async def look(self, desk: Desk) -> Picture:
        lanes = queues.queues(await desk.connection.queues(), now())
        plans = queues.schedules(await desk.connection.schedules(), now())
        parts = [
            Part("queues", desk.pages.part("queues", rows=lanes)),
            Part("schedules", desk.pages.part("schedules", rows=plans)),
        ]
        return Picture(parts)


@dataclass(frozen=True, slots=True)
class Processes(Still):
    """`kind`: ours, orphans, or all of the host."""

    kind: str = "ours"
    template = "processes"

    @property
    def key(self) -> tuple[str, str]:
        return ("processes", self.kind)

    @property
    def live(self) -> str:
        return f"/live/processes?show={self.kind}"

    async def look(self, desk: Desk) -> Picture:
        async def host() -> list[processes.ProcessRow]:
            found = await desk.connection.processes(orphans=self.kind == "orphans", all=self.kind == "all")
            return processes.processes(found)

        rows = await desk.hub.paced(self.key, PROCESSES_S, host)
        opened = processes.sessions(await desk.connection.sessions(), now())
        parts = [
            Part("sessions", desk.pages.part("sessions", rows=opened)),
            Part("processes", desk.pages.part("processes", rows=rows, kind=self.kind)),
        ]
        return Picture(parts, False, {"kind": self.kind})


@dataclass(frozen=True, slots=True)
class System(Still):
    template = "system"
    key = "system"
    live = "/live/system"

    async def look(self, desk: Desk) -> Picture:
        found = system.system(await desk.connection.status(), now())
        return Picture([Part("daemon", desk.pages.part("daemon", daemon=found))])
