"""From the name of a method to the bytes of its reply."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any

import structlog
from msgspec import Raw, Struct

from jobkeep.protocol import faults, service
from jobkeep.protocol.envelope import Call
from jobkeep.protocol.registry import INTERFACES
from jobkeepd.core.authz import authorise
from jobkeepd.core.model import Peer
from jobkeepd.latch import Latch
from jobkeepd.rpc import frames
from jobkeepd.rpc.faults import NoInterface, fault_of
from jobkeepd.rpc.handlers import admin, events, jobs, logs, submit, worker
from jobkeepd.rpc.handlers import service as about
from jobkeepd.rpc.parameters import Unacceptable, decoder
from jobkeepd.rpc.services import Outlet, Services

log = structlog.get_logger()

# A handler takes (parameters, peer), that of a stream (parameters, peer, outlet). It answers at once with a Struct
# or with encoded parameters, or with a latch or a coroutine for them; a stream with a coroutine for nothing.
Handler = Callable[..., Any]


class Route(Struct, frozen=True):
    decode: Callable[[Raw], Any]
    handle: Handler
    stream: bool = False
    leave: bool = False  # pointless once the caller is gone; all other calls run to their end


class Later(Struct, frozen=True):
    """A reply to come with a latch: `Dispatch.frame` makes it of what the latch is set to; None means Done."""

    latch: Latch[Any]
    method: str


class Pending(Struct, frozen=True):
    """A reply to come: the coroutine `reply` returns its frame and raises nothing.

    `inner` is what it awaits: closed by whoever cancels `reply` before it has begun.
    """

    reply: Coroutine[Any, Any, bytes]
    inner: Coroutine[Any, Any, Any]
    leave: bool


class Opening(Struct, frozen=True):
    """A stream that begins when all earlier calls are answered."""

    method: str
    handle: Handler
    parameters: Any


def handlers(services: Services) -> dict[str, Handler]:
    """Every method of every interface."""
    reading = jobs.Reading(services)
    bound: dict[str, Callable[..., Any]] = {
        "org.varlink.service.GetInfo": about.info,
        "org.varlink.service.GetInterfaceDescription": about.describe,
        "org.jobkeep.Jobs.Submit": submit.submit,
        "org.jobkeep.Jobs.SubmitMany": submit.submit_many,
        "org.jobkeep.Jobs.Cancel": jobs.cancel,
        "org.jobkeep.Jobs.Resume": jobs.resume,
        "org.jobkeep.Jobs.Restart": jobs.restart,
        "org.jobkeep.Jobs.Logs": logs.logs,
        "org.jobkeep.Jobs.Events": events.events,
        "org.jobkeep.Worker.Attach": worker.attach,
        "org.jobkeep.Worker.Beat": worker.beat,
        "org.jobkeep.Worker.Progress": worker.progress,
        "org.jobkeep.Worker.Checkpoint": worker.checkpoint,
        "org.jobkeep.Worker.Finish": worker.finish,
        "org.jobkeep.Worker.FailedKeys": worker.failed_keys,
        "org.jobkeep.Admin.Status": admin.status,
        "org.jobkeep.Admin.Stop": admin.stop,
        "org.jobkeep.Admin.Sql": admin.sql,
    }
    return {method: partial(handler, services) for method, handler in bound.items()} | {
        "org.jobkeep.Jobs.Get": reading.get,
        "org.jobkeep.Jobs.List": reading.list,
        "org.jobkeep.Jobs.Wait": reading.wait,
        "org.jobkeep.Jobs.Result": reading.result,
        "org.jobkeep.Jobs.History": reading.history,
        "org.jobkeep.Jobs.FailedItems": reading.failed_items,
    }


LEAVING = frozenset({"org.jobkeep.Jobs.Wait", "org.jobkeep.Jobs.List", "org.jobkeep.Admin.Sql"})


def routes(services: Services) -> Mapping[str, Route]:
    handle = handlers(services)
    return {
        name: Route(decoder(method.parameters), handle[name], method.more, name in LEAVING)
        for interface in INTERFACES.values()
        for method in interface.methods
        for name in (f"{interface.name}.{method.name}",)
    }


class Dispatch:
    def __init__(self, services: Services, allowed_uids: Collection[int]) -> None:
        self._services = services
        self._allowed_uids = frozenset(allowed_uids)
        self._routes = routes(services)

    def permits(self, peer: Peer) -> bool:
        """Asked once for a connection: its peer cannot change."""
        return authorise(peer, self._allowed_uids)

    def answer(self, call: Call, peer: Peer, permitted: bool) -> bytes | Later | Pending | Opening:
        """A frame at once where the answer is known; without a task, too, where a latch brings it."""
        method = call.method
        route = self._routes.get(method)
        if route is None or not permitted or (route.stream and not call.more):
            return _refusal(method, route, peer, permitted)
        try:
            parameters = route.decode(call.parameters)
            if route.stream:
                return Opening(method, route.handle, parameters)
            answer = route.handle(parameters, peer)
            if isinstance(answer, Raw):
                return frames.reply(bytes(answer))
            if isinstance(answer, Struct):
                return frames.reply(frames.encode(answer))
            if isinstance(answer, Latch):
                return Later(answer, method)
        except Exception as error:  # noqa: BLE001 - a bug in a handler must not end the connection
            return self._failure(error, method)
        return Pending(self._awaited(answer, method), answer, route.leave)

    def frame(self, value: Struct | Exception | None, method: str) -> bytes:
        """Of what a latch was set to."""
        if value is None:
            return frames.EMPTY
        return self._failure(value, method) if isinstance(value, Exception) else frames.reply(frames.encode(value))

    async def _awaited(self, answer: Awaitable[Struct | Raw], method: str) -> bytes:
        try:
            known = await answer
            return frames.reply(bytes(known) if isinstance(known, Raw) else frames.encode(known))
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(error, method)

    def open(self, opening: Opening, peer: Peer, outlet: Outlet) -> bytes | Pending:
        """Begin a stream; what it returns is its last frame."""
        try:
            running = opening.handle(opening.parameters, peer, outlet)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(error, opening.method)
        return Pending(self._streamed(running, opening.method), running, leave=True)

    async def _streamed(self, running: Awaitable[None], method: str) -> bytes:
        try:
            await running
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(error, method)
        return frames.EMPTY

    def _failure(self, error: Exception, method: str) -> bytes:
        if isinstance(error, Unacceptable):
            return frames.standard_error(error.why)
        if isinstance(error, NoInterface):
            return frames.standard_error(service.InterfaceNotFound(error.interface))
        fault = fault_of(error, self._services.clock.now())
        if fault is None:
            reference = secrets.token_hex(4)
            log.error("rpc_internal_error", reference=reference, method=method, exc_info=error)
            fault = faults.Internal(f"the daemon failed; its log says why under {reference}", reference)
        return frames.fault(fault)


def _refusal(method: str, route: Route | None, peer: Peer, permitted: bool) -> bytes:
    if not permitted:
        return frames.fault(faults.NotPermitted(f"uid {peer.uid} may not use this daemon", peer.uid))
    if route is not None:
        return frames.standard_error(service.ExpectedMore())
    interface = method.rpartition(".")[0]
    if interface in INTERFACES:
        return frames.standard_error(service.MethodNotFound(method))
    return frames.standard_error(service.InterfaceNotFound(interface))
