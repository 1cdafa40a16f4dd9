"""org.jobkeep.Sessions: open, look at and close sessions. A lease is renewed and given back as that of a lock."""

from __future__ import annotations

from jobkeep.protocol import sessions as wire
from jobkeep.protocol.interface import Nothing
from jobkeepd.core.model import Peer
from jobkeepd.core.sessions import key_of
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import session_view


async def open_session(services: Services, asked: wire.OpenParameters, peer: Peer) -> wire.OpenReply:
    lock, _ = await services.sessions.open(asked.name, asked.lease, asked.ttl_s, asked.wait_s or 0.0, peer)
    view = session_view(await services.sessions.view(asked.name))
    return wire.OpenReply(key_of(asked.name), lock.token, lock.ttl_s, view)


async def listed(services: Services, asked: Nothing, peer: Peer) -> wire.ListReply:
    return wire.ListReply([session_view(view) for view in await services.sessions.views()])


async def close(services: Services, asked: wire.CloseParameters, peer: Peer) -> wire.CloseReply:
    ended = await services.sessions.close(asked.name, peer, force=asked.force, reason=asked.reason)
    return wire.CloseReply(session_view(await services.sessions.view(asked.name)), ended)
