"""Watch jobs: a stream of events says when to look, and what is under way is looked at each second.

The journal tells of every change of state, and not of progress, which may come a thousand times a second.
"""

from __future__ import annotations

import time

from jobkeep.cli.commands.ls import ENDED, ENDED_SHOWN, LIVE, LIVE_SHOWN
from jobkeep.cli.failures import RemoteFault
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any, Protocol

    from jobkeep.cli.context import Context
    from jobkeep.cli.wire import Link, Wire

    Job = dict[str, Any]

    class View(Protocol):
        """Where jobs are shown."""

        def show(self, jobs: list[Job]) -> None: ...


RUNNING = ("running", "cancelling")
TICK = 0.25  # seconds without an event after which the clock is looked at
LEAST = 0.2  # seconds between two looks, however many events there are
MOVING = 1.0  # seconds between two looks while something runs
STILL = 10.0  # and while nothing does: for what no event tells


class Named:
    """The jobs of the command line. Only what has changed, or runs, is asked for again."""

    def __init__(self, link: Link, ids: list[str]) -> None:
        self._link = link
        self._ids = ids
        self._jobs: dict[str, Job] = {}

    def look(self, changed: Collection[str] | None) -> list[Job]:
        """The jobs as they are; None: all may have changed."""
        if not self._jobs:
            found = [self._get(id) for id in self._ids]
            self._jobs = {job["id"]: job for job in found}
        else:
            for id, job in list(self._jobs.items()):
                if changed is None or id in changed or job["state"] in RUNNING:
                    self._again(id)
        return list(self._jobs.values())

    def _again(self, id: str) -> None:
        try:
            self._jobs[id] = self._get(id)
        except RemoteFault as fault:
            if fault.name != "NotFound" or self._jobs[id]["state"] not in ENDED:
                raise  # one that has ended may have been removed since, and stays as it was

    def _get(self, id: str) -> Job:
        return dict(self._link.call(JOBS + "Get", again=AGAIN, id=id)["job"])

    def concerned(self, id: str) -> bool:
        return id in self._jobs

    def over(self, jobs: list[Job]) -> bool:
        return all(job["state"] in ENDED for job in jobs)


class Everything:
    """All that live, and what has ended last."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._ended: dict[str, Job] = {}  # the last one that ended is the last one here

    def look(self, changed: Collection[str] | None) -> list[Job]:
        live = self._list(LIVE, LIVE_SHOWN)
        known = {job["id"] for job in live}
        if changed is None:
            self._ended = {job["id"]: job for job in reversed(self._list(ENDED, ENDED_SHOWN))}
        for id in changed or ():
            self._ended.pop(id, None)
            if id not in known and (job := self._get(id)) is not None and job["state"] in ENDED:
                self._ended[id] = job
        for id in list(self._ended)[:-ENDED_SHOWN]:
            del self._ended[id]
        return [*live, *reversed(self._ended.values())]

    def _list(self, states: tuple[str, ...], limit: int) -> list[Job]:
        return list(self._link.call(JOBS + "List", again=AGAIN, state=states, limit=limit)["jobs"])

    def _get(self, id: str) -> Job | None:
        try:
            return dict(self._link.call(JOBS + "Get", again=AGAIN, id=id)["job"])
        except RemoteFault as fault:
            if fault.name != "NotFound":
                raise
            return None

    def concerned(self, id: str) -> bool:
        return True

    def over(self, jobs: list[Job]) -> bool:
        return False


def pause(jobs: Sequence[Job]) -> float:
    """Seconds until the next look at them, where no event comes before."""
    return MOVING if any(job["state"] in RUNNING for job in jobs) else STILL


AGAIN = "the jobs go on; the same command watches again"


class Pace:
    """When to look: at once at first, soon after an event, and by the clock while something moves."""

    def __init__(self) -> None:
        self._looked = self._due = self._all_due = 0.0

    def begin(self) -> None:
        """All may have changed."""
        self._due = self._all_due = 0.0

    def event(self) -> None:
        """Something has changed."""
        self._due = min(self._due, self._looked + LEAST)

    def due(self, now: float) -> bool:
        """Whether to look now."""
        return now >= self._due

    def all_due(self, now: float) -> bool:
        """Whether at all, and not only at what has changed; asked once a look."""
        if now < self._all_due:
            return False
        self._all_due = now + STILL
        return True

    def looked(self, now: float, every: float) -> None:
        """The next look without an event is `every` seconds from now."""
        self._looked, self._due = now, now + every


class Watch:
    """Looks when there is reason to, and has it shown, until all that is watched has ended."""

    def __init__(self, context: Context, watched: Named | Everything, view: View) -> None:
        self._context = context
        self._watched = watched
        self._view = view
        self._changed: set[str] = set()
        self._jobs: list[Job] = []
        self._pace = Pace()

    def to_the_end(self) -> list[Job]:
        """-> the jobs as they have ended."""
        link = self._context.another_link()
        link.patience = self._context.link.patience = FOLLOW_PATIENCE
        try:
            link.patiently(self._follow, AGAIN)
        finally:
            link.close()
        return self._jobs

    def _follow(self, wire: Wire) -> None:
        """Over one connection. All is looked at before the stream begins and once it has: there is no gap."""
        self._pace.begin()
        over, begun = self._look(), False
        stream = wire.stream(JOBS + "Events", TICK, follow=True)
        while not over:
            job = (next(stream, {}).get("event") or {}).get("job")
            if not begun:
                begun = True
                self._pace.begin()
            if job is not None and self._watched.concerned(job):
                self._changed.add(job)
                self._pace.event()
            if self._pace.due(time.monotonic()):
                over = self._look()

    def _look(self) -> bool:
        """-> whether that was the end."""
        changed, self._changed = self._changed, set()
        self._jobs = self._watched.look(None if self._pace.all_due(time.monotonic()) else changed)
        self._context.style.now = time.time()
        self._view.show(self._jobs)
        self._pace.looked(time.monotonic(), pause(self._jobs))
        return self._watched.over(self._jobs)
