"""org.jobkeep.Run: what the processes of a command report, and what they get back."""

from __future__ import annotations

from jobkeep.protocol import run as wire
from jobkeep.protocol.interface import Done
from jobkeep.protocol.vocabulary import STATE_LIMIT
from jobkeepd.core.model import Peer
from jobkeepd.rpc.faults import too_large
from jobkeepd.rpc.services import Services


async def progress(services: Services, said: wire.ProgressParameters, peer: Peer) -> Done:
    await services.commands.progress(said.run, said.cookie, said.done, said.total, said.note)
    return Done()


async def load_checkpoint(services: Services, asked: wire.LoadParameters, peer: Peer) -> wire.LoadReply:
    saved = await services.commands.load(asked.run, asked.cookie)
    return wire.LoadReply(saved.seq, saved.state)


async def save_checkpoint(services: Services, said: wire.SaveParameters, peer: Peer) -> Done:
    if len(bytes(said.state)) > STATE_LIMIT:
        raise too_large("state", len(bytes(said.state)), STATE_LIMIT)
    await services.commands.save(said.run, said.cookie, said.state)
    return Done()
