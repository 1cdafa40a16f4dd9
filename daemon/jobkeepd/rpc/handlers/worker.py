"""org.jobkeep.Worker: orders to workers, and what they report.

Nothing here may wait before the port is called: reports take effect in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any

import anyio

from jobkeep.protocol import worker as wire
from jobkeep.protocol.interface import Done
from jobkeepd.core.model import Peer
from jobkeepd.latch import Latch
from jobkeepd.rpc.services import Outlet, Services

DONE = Done()


def attach(services: Services, hello: wire.AttachParameters, peer: Peer, outlet: Outlet) -> Coroutine[Any, Any, None]:
    worker = services.workers.attach(hello, peer, outlet.put, outlet.close)
    outlet.on_close(worker.detached)
    return anyio.sleep_forever()


def beat(services: Services, report: wire.BeatParameters, peer: Peer) -> Done:
    services.workers.beat(report)
    return DONE


def progress(services: Services, report: wire.ProgressParameters, peer: Peer) -> Done:
    services.workers.progress(report)
    return DONE


def checkpoint(services: Services, report: wire.CheckpointParameters, peer: Peer) -> Coroutine[Any, Any, Done]:
    return _once_durable(services.workers.checkpoint(report))


def save_step(services: Services, report: wire.SaveStepParameters, peer: Peer) -> Coroutine[Any, Any, Done]:
    return _once_durable(services.workers.save_step(report))


def finish(services: Services, report: wire.FinishParameters, peer: Peer) -> Latch[None] | Coroutine[Any, Any, Done]:
    taken = services.workers.finish(report)
    return taken if isinstance(taken, Latch) else _once_durable(taken)


async def failed_keys(services: Services, asked: wire.FailedKeysParameters, peer: Peer) -> wire.FailedKeysReply:
    return wire.FailedKeysReply(await services.workers.failed_keys(asked))


async def step_result(services: Services, asked: wire.StepResultParameters, peer: Peer) -> wire.StepResultReply:
    return wire.StepResultReply(await services.workers.step_result(asked))


async def _once_durable(taken: Awaitable[None]) -> Done:
    await taken
    return DONE
