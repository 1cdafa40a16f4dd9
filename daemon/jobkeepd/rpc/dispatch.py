"""From the name of a method to the bytes of its reply."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any

import structlog
from msgspec import Raw, Struct

from jobkeep.protocol import faults, service
from jobkeep.protocol.envelope import Call
from jobkeep.protocol.registry import INTERFACES
from jobkeepd.core.authz import NEEDS, Access, Role, is_process_of_jobs, role_of
from jobkeepd.core.model import Peer
from jobkeepd.latch import Latch
from jobkeepd.rpc import frames
from jobkeepd.rpc.faults import NoInterface, fault_of
from jobkeepd.rpc.parameters import Unacceptable
from jobkeepd.rpc.rights import Rights, refusal, rights_of
from jobkeepd.rpc.routes import Handler, routes
from jobkeepd.rpc.services import Outlet, Services

log = structlog.get_logger()


class Later(Struct, frozen=True):
    """A reply to come with a latch: `Dispatch.frame` makes it of what the latch is set to; None means Done."""

    latch: Latch[Any]
    method: str


class Pending(Struct, frozen=True):
    """A reply to come: the coroutine `reply` returns its frame and raises nothing.

    `inner` is what it awaits. `cost`: bytes in the making where they may be many, else 0.
    """

    reply: Coroutine[Any, Any, bytes]
    inner: Coroutine[Any, Any, Any]
    leave: bool
    method: str
    cost: int = 0
    slow: bool = False

    @property
    def stops(self) -> bool:
        """Once the caller is gone. A quick read goes on, since its thread does: it costs until then."""
        return self.leave and (self.slow or not self.cost)

    def close(self) -> None:
        """Whether it has begun or not."""
        self.reply.close()
        self.inner.close()


class Opening(Struct, frozen=True):
    """A stream that begins when all earlier calls are answered."""

    method: str
    handle: Handler
    parameters: Any


class Dispatch:
    def __init__(self, services: Services, access: Access) -> None:
        self.access = access
        self._services = services
        every = routes(services)
        self._rights = {
            (role, of_jobs): rights_of(services, every, role, of_jobs) for role in Role for of_jobs in (False, True)
        }

    def rights(self, peer: Peer, groups: Iterable[int]) -> Rights:
        """Asked once for a connection, whose peer cannot change, and again when `access` has."""
        return self._rights[role_of(peer, groups, self.access), is_process_of_jobs(peer, self.access)]

    def answer(self, call: Call, peer: Peer, rights: Rights) -> bytes | Later | Pending | Opening:
        """A frame at once where the answer is known; without a task, too, where a latch brings it."""
        method = call.method
        route = rights.routes.get(method)
        if route is None or (route.stream and not call.more):
            return self.refused(method, peer, rights)
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
        return Pending(self._awaited(answer, method), answer, route.leave, method, route.cost, route.slow)

    def refused(self, method: str, peer: Peer, rights: Rights) -> bytes:
        """Why this call is not even tried."""
        if method in rights.routes:
            return frames.standard_error(service.ExpectedMore())
        interface = method.rpartition(".")[0]
        if method in NEEDS or not rights.any:
            return frames.fault(refusal(method, peer, rights.role, self.access))
        if interface in INTERFACES:
            return frames.standard_error(service.MethodNotFound(method))
        return frames.standard_error(service.InterfaceNotFound(interface))

    def frame(self, value: Struct | Exception | None, method: str) -> bytes:
        """Of what a latch was set to."""
        if value is None:
            return frames.EMPTY
        return self._failure(value, method) if isinstance(value, Exception) else frames.reply(frames.encode(value))

    async def _awaited(self, answer: Awaitable[Struct | Raw | bytes], method: str) -> bytes:
        try:
            known = await answer
            if isinstance(known, Struct):
                return frames.reply(frames.encode(known))
            return frames.reply(bytes(known)) if isinstance(known, Raw) else known
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(error, method)

    def open(self, opening: Opening, peer: Peer, outlet: Outlet) -> bytes | Pending:
        """Begin a stream; what it returns is its last frame."""
        try:
            running = opening.handle(opening.parameters, peer, outlet)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failure(error, opening.method)
        return Pending(self._streamed(running, opening.method), running, leave=True, method=opening.method)

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
