"""Queues as a whole: paused, resumed and limited by people, at once and until they say otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog
from msgspec import Struct

from jobkeepd.core.explain import LabelLimit
from jobkeepd.core.label_limits import tags
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.queueing import Control, Order
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.errors import UnknownQueue
from jobkeepd.store.queue_changes import ControlQueue
from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.lane import Lane
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()

TAKE_BACK_WITHIN = 2.0  # seconds; on a full disk it cannot be recorded, and is done all the same


class Queue(Struct, frozen=True):
    """One queue. `configured`: its limit by the configuration; None for one that has but jobs that are left."""

    name: str
    limit: int
    configured: int | None
    control: Control


class Queues:
    """Implements rpc.services.Queues."""

    def __init__(self, dispatcher: Dispatcher, workshop: Workshop) -> None:
        self._dispatcher = dispatcher
        self._workshop = workshop
        self._names = tuple(dispatcher.lanes)  # later ones are not configured

    @property
    def names(self) -> Sequence[str]:
        """Those that take jobs of anybody."""
        return [name for name in self._names if name != SESSIONS]

    def configure(self, names: Sequence[str]) -> None:
        """Others are configured from now on."""
        self._names = tuple(names)

    async def recover_once(self) -> None:
        """What was said to an earlier daemon counts on."""
        for control in await self._workshop.store.controls():
            lane = self._dispatcher.lanes.get(control.name)
            if lane is not None:
                lane.control = control
                log.info("queue_controlled", queue=control.name, paused=control.paused is not None, limit=lane.limit)

    def limit_of(self, job: Job) -> LabelLimit | None:
        """The limit that the job waits for, and who is in its way."""
        label = job.waits_on
        if label is None:
            return None
        tasks = self._dispatcher.tasks.values()
        running = [task.job.id for task in tasks if task.job.run is not None and label in tags(task.job.spec.labels)]
        return LabelLimit(label, self._workshop.label_limits.get(label.partition("=")[0]), tuple(running))

    def get(self, name: str) -> Queue | None:
        lane = self._dispatcher.lanes.get(name)
        return None if lane is None else self._queue(lane)

    def all(self) -> Sequence[Queue]:
        """In the order of the configuration."""
        return [self._queue(lane) for lane in self._dispatcher.lanes.values()]

    def _queue(self, lane: Lane) -> Queue:
        configured = lane.configured if lane.name in self._names else None
        return Queue(lane.name, lane.limit, configured, lane.control)

    async def control(self, name: str, order: Order, by: Peer, *, limit: int | None, reason: str | None) -> Queue:
        """Once this returns it is durable and in effect: no job of a paused queue starts. Raises UnknownQueue."""
        lane = self._dispatcher.lanes.get(name)
        if lane is None:
            raise UnknownQueue(name, sorted(self._dispatcher.lanes))
        at = self._workshop.clock.now()
        lane.control = await self._workshop.store.apply(
            ControlQueue(queue=name, order=order, by=by, at=at, limit=limit, reason=reason)
        )
        log.info("queue_controlled", queue=name, order=order, limit=lane.limit, uid=by.uid, reason=reason)
        if order != "resume":  # claims that wait behind a seat: not to start, or to start on one of their own
            with anyio.move_on_after(TAKE_BACK_WITHIN):
                for task in self._dispatcher.hold(name):
                    await task.ended()
        self._dispatcher.poke()
        return self._queue(lane)
