"""One queue's side of dispatch: its limit, its window of queued jobs, the places its jobs occupy."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from msgspec import Struct

from jobkeepd.core.admission import Need, need_of, place
from jobkeepd.core.model import Job
from jobkeepd.core.queueing import Control
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
    """Counts places; decides nothing but by core.admission. `owned` are the jobs that have a task, or are about to: the
    store may show them as queued.
    """

    def __init__(
        self, name: str, limit: int, workshop: Workshop, poke: Callable[[], None], owned: Collection[str]
    ) -> None:
        self.name = name
        self.configured = limit
        self.control = Control(name=name)
        self.window = Window(name)
        self._workshop = workshop
        self._poke = poke
        self._owned = owned
        self._pending: set[str] = set()  # picked for a seat of their own, which they do not have yet
        self._places: dict[str, Place] = {}  # by the job that occupies it

    @property
    def running(self) -> int:
        return len(self._places) + len(self._pending)

    @property
    def limit(self) -> int:
        """How many of its jobs run at once: what people have said last, else the configuration."""
        return self.configured if self.control.limit is None else self.control.limit

    @property
    def is_paused(self) -> bool:
        return self.control.paused is not None

    @property
    def has_room(self) -> bool:
        """Whether one more of its jobs might be picked. Whatever makes room pokes, so until then nobody need look."""
        now = self._workshop.clock.monotonic()
        return self.running < self.limit or any(place.room(now) > 0 for place in self._places.values())

    async def pick(self) -> list[Pick]:
        """What starts now. The jobs leave the window and count from this moment on."""
        if self.is_paused:
            return []
        if self.window.low:
            await self.window.fill(self._workshop.store, self._owned)
        now = self._workshop.clock.monotonic()
        free = max(self.limit - self.running, 0)
        over = self.running > self.limit
        rooms = {} if over else {each: room for each in self._places.values() if (room := each.room(now)) > 0}
        busy = list(rooms)
        waiting = self.window.peek(free + sum(rooms.values()))
        if not waiting:
            return []
        python, cwd = self._workshop.default_python, self._workshop.default_cwd
        needs = [need_of(job.id, job.spec, job.environment, python, cwd) for job in waiting]
        limits = self._workshop.label_limits
        alone = {
            index
            for index, job in enumerate(waiting)
            if job.spec.lock is not None or not limits.keys().isdisjoint(job.spec.labels)
        }
        placement = place(needs, free, [each.behind for each in busy], alone)
        picks = [Pick(waiting[index], needs[index]) for index in range(placement.start)]
        for index, seat in placement.ahead:
            picks.append(Pick(waiting[index], needs[index], busy[seat], busy[seat].wait_behind(waiting[index].id)))
        self._pending.update(pick.job.id for pick in picks if pick.place is None)
        self.window.remove(pick.job for pick in picks)
        return picks

    def impatient(self, now: float) -> tuple[list[str], float]:
        """Jobs that wait behind a run that lasts, and the seconds until another one does."""
        places = [(each.patience(now), each) for each in self._places.values() if each.waiting]
        jobs = [turn.job for patience, each in places if patience <= 0 for turn in each.waiting]
        return jobs, min((patience for patience, _ in places if patience > 0), default=math.inf)

    def seated(self, job: str, place: Place) -> None:
        """A job that was picked for a seat of its own has it."""
        self._pending.discard(job)
        self._places[job] = place
        self._poke()  # somebody may wait behind it

    def unpicked(self, pick: Pick) -> None:
        """It is not to be started after all."""
        if pick.place is not None and pick.turn is not None:
            pick.place.withdraw(pick.turn)
        self.unseated(pick.job.id)

    def unseated(self, job: str) -> None:
        """No seat could be had for it."""
        self._pending.discard(job)
        self._poke()

    def abandoned(self, job: str, task: JobTask | None) -> None:
        """Its task broke, and nobody knows what its seat does: it is not used again, who waits goes elsewhere."""
        self._pending.discard(job)
        if task is not None and task.place is not None and task.turn is not None:
            task.place.withdraw(task.turn)
        place = self._places.pop(job, None)
        if place is not None:
            place.close()
        self._poke()

    def adopted(self, job: str, place: Place) -> None:
        self._places[job] = place

    def vacated(self, task: JobTask) -> None:
        """Implements job_task.Lane: the seat passes on, or goes back to the runner."""
        place = task.place
        if place is None:
            return
        if self._places.pop(task.job.id, None) is None:  # it never had the seat
            if task.turn is not None:
                place.withdraw(task.turn)
            return
        if self.running >= self.limit:  # it has been lowered
            place.close()
        successor = place.vacate(self._workshop.clock.monotonic())
        if successor is not None:
            self._places[successor] = place
        else:
            self._workshop.runner.release(place.seat)
        self._poke()
