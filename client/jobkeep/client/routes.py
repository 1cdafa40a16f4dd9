"""Calls as bytes: what can be called, how a request becomes a frame and a frame its reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import MsgspecError, Struct

from jobkeep.client import faults
from jobkeep.errors import InvalidRequest, JobkeepError, ProtocolError, TooLarge
from jobkeep.protocol import admin, jobs, service
from jobkeep.protocol.envelope import Reply
from jobkeep.protocol.interface import Interface, Nothing
from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT

R = TypeVar("R")

_encode = msgspec.json.Encoder().encode
_decode_reply = msgspec.json.Decoder(Reply).decode


class _Typed(Struct, Generic[R]):
    """A reply whose parameters are decoded in the same pass, which halves the cost of the usual case."""

    parameters: R
    continues: bool = False
    error: str | None = None


class Route(Generic[R]):
    """One method. `safe` means that asking twice does no more than asking once."""

    __slots__ = ("decode", "head", "method", "reply", "safe")

    def __init__(self, interface: str, method: str, reply: type[R], *, safe: bool) -> None:
        self.method = f"{interface}.{method}"
        self.reply = reply
        self.safe = safe
        self.head = b'{"method":"%s","parameters":' % self.method.encode()
        typed: Any = _Typed
        self.decode: Callable[[bytes], _Typed[R]] = msgspec.json.Decoder(typed[reply]).decode


class Request(Generic[R]):
    """One call of a route."""

    __slots__ = ("parameters", "route")

    def __init__(self, route: Route[R], parameters: Struct) -> None:
        self.route = route
        self.parameters = parameters

    def frame(self, more: bool = False) -> bytes:
        """The message with its NUL. Raises InvalidRequest for what JSON cannot say, TooLarge over 1 MiB."""
        try:
            body = _encode(self.parameters)
        except (MsgspecError, TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"a value cannot be sent as JSON: {error}") from error
        frame = self.route.head + body + (b',"more":true}\0' if more else b"}\0")
        if len(frame) > DEFAULT_MESSAGE_LIMIT:
            raise TooLarge(f"the request has {len(frame)} bytes; a message has at most {DEFAULT_MESSAGE_LIMIT}")
        return frame

    def reply(self, message: bytes) -> R:
        """The typed reply; an error of the daemon is raised as its exception."""
        try:
            reply = self.route.decode(message)
        except (MsgspecError, ValueError, RecursionError) as error:
            raise self._refusal(message, error) from None
        if reply.error is not None:
            raise self._refusal(message, None)
        return reply.parameters

    def part(self, message: bytes) -> tuple[R | None, bool]:
        """One reply of a stream, and whether more follow; the last one may be empty."""
        try:
            reply = self.route.decode(message)
        except (MsgspecError, ValueError, RecursionError) as error:
            if _is_empty(message):
                return None, False
            raise self._refusal(message, error) from None
        if reply.error is not None:
            raise self._refusal(message, None)
        return reply.parameters, reply.continues

    def _refusal(self, message: bytes, failure: Exception | None) -> JobkeepError:
        """What a message is that is not the expected reply."""
        try:
            reply = _decode_reply(message)
        except (MsgspecError, ValueError, RecursionError) as error:
            failure = error
        else:
            if reply.error is not None:
                return faults.exception(reply.error, reply.parameters)
        return ProtocolError(f"the daemon's reply to {self.route.method} is not understood: {failure}")


def _is_empty(message: bytes) -> bool:
    try:
        reply = _decode_reply(message)
        return reply.error is None and not reply.continues and not msgspec.json.decode(reply.parameters)
    except (MsgspecError, ValueError, RecursionError):
        return False


def _jobs(method: str, reply: type[R], *, safe: bool = True) -> Route[R]:
    return Route(jobs.INTERFACE.name, method, reply, safe=safe)


# A submit is safe since it always carries a request id.
SUBMIT = _jobs("Submit", jobs.SubmitReply)
SUBMIT_MANY = _jobs("SubmitMany", jobs.SubmitManyReply)
GET = _jobs("Get", jobs.JobReply)
LIST = _jobs("List", jobs.ListReply)
CANCEL = _jobs("Cancel", jobs.StateReply)
RESUME = _jobs("Resume", jobs.StateReply, safe=False)
RESTART = _jobs("Restart", jobs.StateReply, safe=False)
WAIT = _jobs("Wait", jobs.WaitReply)
RESULT = _jobs("Result", jobs.ResultReply)
LOGS = _jobs("Logs", jobs.LogChunk)
HISTORY = _jobs("History", jobs.HistoryReply)
FAILED_ITEMS = _jobs("FailedItems", jobs.FailedItemsReply)
EVENTS = _jobs("Events", jobs.EventReply)
STATUS = Route(admin.INTERFACE.name, "Status", admin.StatusReply, safe=True)
STOP = Route(admin.INTERFACE.name, "Stop", admin.StopReply, safe=False)
SQL = Route(admin.INTERFACE.name, "Sql", admin.SqlReply, safe=True)
GET_INFO = Route(service.INTERFACE.name, "GetInfo", service.Info, safe=True)

INTERFACES: tuple[Interface, ...] = (jobs.INTERFACE, admin.INTERFACE)
NOTHING = Nothing()
ALL: tuple[Route[Any], ...] = (
    SUBMIT, SUBMIT_MANY, GET, LIST, CANCEL, RESUME, RESTART, WAIT, RESULT, LOGS, HISTORY, FAILED_ITEMS, EVENTS,
    STATUS, STOP, SQL, GET_INFO,
)  # fmt: skip
