"""org.jobkeep.Locks: take, renew, give back, look at and reset locks."""

from __future__ import annotations

from jobkeep.protocol import locks as wire
from jobkeep.protocol.interface import Done, Nothing
from jobkeepd.core.model import Moment, Peer
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import lock_view


def _now(services: Services) -> Moment:
    return Moment(services.host.status().boot_id, services.clock.monotonic())


async def acquire(services: Services, asked: wire.AcquireParameters, peer: Peer) -> wire.AcquireReply:
    lock = await services.locks.acquire(asked.name, asked.lease, asked.ttl_s, asked.wait_s or 0.0, peer)
    return wire.AcquireReply(lock.token, lock.ttl_s)


async def renew(services: Services, asked: wire.RenewParameters, peer: Peer) -> Done:
    await services.locks.renew(asked.name, asked.token, asked.linger_s, peer)
    return Done()


async def release(services: Services, asked: wire.ReleaseParameters, peer: Peer) -> Done:
    await services.locks.release(asked.name, asked.token, peer)
    return Done()


async def give_up(services: Services, asked: wire.GiveUpParameters, peer: Peer) -> Done:
    await services.locks.give_up(asked.name, asked.lease, peer)
    return Done()


async def held(services: Services, asked: Nothing, peer: Peer) -> wire.ListReply:
    now, max_hold = _now(services), services.locks.max_hold
    return wire.ListReply([lock_view(lock, count, now, max_hold) for lock, count in await services.locks.held()])


async def show(services: Services, asked: wire.LockParameters, peer: Peer) -> wire.LockReply:
    lock, waiting = await services.locks.show(asked.name)
    return wire.LockReply(lock_view(lock, waiting, _now(services), services.locks.max_hold))


async def reset(services: Services, asked: wire.ResetParameters, peer: Peer) -> wire.ResetReply:
    _, ended = await services.locks.reset(asked.name, peer, force=asked.force, reason=asked.reason)
    lock, waiting = await services.locks.show(asked.name)
    return wire.ResetReply(lock_view(lock, waiting, _now(services), services.locks.max_hold), ended)
