"""One queue's side of dispatch: its limit, its window of queued jobs, the places its jobs occupy."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from jobkeepd.core.admission import Need, need_of, place
from jobkeepd.core.model import Job
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.places import Place, Turn
from jobkeepd.supervisor.window import Window
from jobkeepd.supervisor.workshop import Workshop


class Pick(Struct, frozen=True):
    """A job to start now: on a seat of its own, or behind a busy one when `place` and `turn` are given."""

    job: Job
    need: Need
    place: Place | None = None
    turn: Turn | None = None


class Lane:
    """Counts places; decides nothing but by core.admission."""

    def __init__(self, name: str, limit: int, workshop: Workshop, poke: Callable[[], None]) -> None:
        self.name = name
        self.limit = limit
        self.window = Window(name)
        self._workshop = workshop
        self._poke = poke
        self._taken: set[str] = set()  # from the window, till their runs have ended: the store may show them as queued
        self._pending: set[str] = set()  # of these, those without a seat yet
        self._places: dict[str, Place] = {}  # by the job that occupies it

    @property
    def running(self) -> int:
        return len(self._places) + len(self._pending)

    async def pick(self) -> list[Pick]:
        """What starts now. The jobs leave the window and count from this moment on."""
        if self.window.low:
            await self.window.fill(self._workshop.store, self._taken)
        free = max(self.limit - self.running, 0)
        busy = [each for each in self._places.values() if each.room > 0]
        waiting = self.window.peek(free + sum(each.room for each in busy))
        if not waiting:
            return []
        python, cwd = self._workshop.default_python, self._workshop.default_cwd
        needs = [need_of(job.spec, job.environment, python, cwd) for job in waiting]
        placement = place(needs, free, [each.behind for each in busy])
        picks = [Pick(waiting[index], needs[index]) for index in range(placement.start)]
        for index, seat in placement.ahead:
            picks.append(Pick(waiting[index], needs[index], busy[seat], busy[seat].wait_behind(waiting[index].id)))
        self._taken.update(pick.job.id for pick in picks)
        self._pending.update(pick.job.id for pick in picks if pick.place is None)
        self.window.remove(pick.job for pick in picks)
        return picks

    def seated(self, job: str, place: Place) -> None:
        """A job that was picked for a seat of its own has it."""
        self._pending.discard(job)
        self._places[job] = place
        self._poke()  # somebody may wait behind it

    def unseated(self, job: str) -> None:
        """No seat could be had for it."""
        self._pending.discard(job)
        self._taken.discard(job)
        self._poke()

    def abandoned(self, job: str, task: JobTask | None) -> None:
        """Its task broke, and nobody knows what its seat does: it is not used again, who waits goes elsewhere."""
        self._pending.discard(job)
        self._taken.discard(job)
        if task is not None and task.place is not None and task.turn is not None:
            task.place.withdraw(task.turn)
        place = self._places.pop(job, None)
        if place is not None:
            place.close()
        self._poke()

    def adopted(self, job: str, place: Place) -> None:
        self._taken.add(job)
        self._places[job] = place

    def vacated(self, task: JobTask) -> None:
        """Implements job_task.Lane: the seat passes on, or goes back to the runner."""
        place = task.place
        self._taken.discard(task.job.id)
        if place is None:
            return
        if self._places.pop(task.job.id, None) is None:  # it never had the seat
            if task.turn is not None:
                place.withdraw(task.turn)
            return
        successor = place.vacate(self._workshop.clock.monotonic())
        if successor is not None:
            self._places[successor] = place
        else:
            self._workshop.runner.release(place.seat)
        self._poke()
