"""org.jobkeep.Queues: look at queues, pause, resume and limit them."""

from __future__ import annotations

from collections.abc import Mapping

from jobkeep.protocol import queues as wire
from jobkeep.protocol.interface import Nothing
from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.model import Peer
from jobkeepd.core.queueing import Order
from jobkeepd.errors import UnknownQueue
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import deed_view
from jobkeepd.supervisor.queues import Queue


async def all_queues(services: Services, asked: Nothing, peer: Peer) -> wire.ListReply:
    counts = await services.store.counts()
    return wire.ListReply([_view(queue, counts) for queue in services.queues.all()])


async def show(services: Services, asked: wire.QueueParameters, peer: Peer) -> wire.QueueReply:
    queue = services.queues.get(asked.name)
    if queue is None:
        raise UnknownQueue(asked.name, sorted(services.queues.names))
    return wire.QueueReply(_view(queue, await services.store.counts()))


async def pause(services: Services, asked: wire.ControlParameters, peer: Peer) -> wire.QueueReply:
    return await _controlled(services, asked.name, "pause", peer, None, asked.reason)


async def resume(services: Services, asked: wire.ControlParameters, peer: Peer) -> wire.QueueReply:
    return await _controlled(services, asked.name, "resume", peer, None, asked.reason)


async def limit(services: Services, asked: wire.LimitParameters, peer: Peer) -> wire.QueueReply:
    return await _controlled(services, asked.name, "limit", peer, asked.limit, asked.reason)


async def _controlled(
    services: Services, name: str, order: Order, peer: Peer, limit: int | None, reason: str | None
) -> wire.QueueReply:
    queue = await services.queues.control(name, order, peer, limit=limit, reason=reason)
    return wire.QueueReply(_view(queue, await services.store.counts()))


def _view(queue: Queue, counts: Mapping[tuple[str, JobState], int]) -> wire.Queue:
    return wire.Queue(
        name=queue.name,
        limit=queue.limit,
        configured=queue.configured,
        running=counts.get((queue.name, "running"), 0) + counts.get((queue.name, "cancelling"), 0),
        queued=counts.get((queue.name, "queued"), 0),
        scheduled=counts.get((queue.name, "scheduled"), 0),
        paused=deed_view(queue.control.paused),
        limited=deed_view(queue.control.limited),
    )
