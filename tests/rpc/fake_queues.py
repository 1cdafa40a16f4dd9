"""Queues behind the wire: `default` and `slow`, in a store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from jobkeepd.core.explain import LabelLimit
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.queueing import Control, Order
from jobkeepd.errors import UnknownQueue
from jobkeepd.store.memory import MemoryStore
from jobkeepd.store.queue_changes import ControlQueue
from jobkeepd.supervisor.queues import Queue
from rpc.fake_locks import FakeClock


class FakeQueues:
    """Nothing runs, so what is said takes effect at once."""

    def __init__(self, store: MemoryStore, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self._limits = {"default": 2, "slow": 1}
        self._controls = {name: Control(name=name) for name in self._limits}

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._controls)

    def get(self, name: str) -> Queue | None:
        if name not in self._controls:
            return None
        control, configured = self._controls[name], self._limits[name]
        return Queue(name, control.limit or configured, configured, control)

    def limit_of(self, job: Job) -> LabelLimit | None:
        return None if job.waits_on is None else LabelLimit(job.waits_on, 1, ("other",))

    def all(self) -> Sequence[Queue]:
        return [queue for name in self._controls if (queue := self.get(name)) is not None]

    async def control(self, name: str, order: Order, by: Peer, *, limit: int | None, reason: str | None) -> Queue:
        if name not in self._controls:
            raise UnknownQueue(name, sorted(self._controls))
        change = ControlQueue(queue=name, order=order, by=by, at=self._clock.now(), limit=limit, reason=reason)
        self._controls[name] = await self._store.apply(change)
        queue = self.get(name)
        assert queue is not None
        return queue
