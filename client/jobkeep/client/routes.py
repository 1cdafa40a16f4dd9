"""Calls as bytes: what can be called, how a request becomes a frame and a frame its reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import MsgspecError, Struct

from jobkeep.client import faults
from jobkeep.errors import InvalidRequest, JobkeepError, ProtocolError, TooLarge
from jobkeep.protocol import admin, jobs, locks, processes, queues, schedules, service, sessions
from jobkeep.protocol.envelope import Reply
from jobkeep.protocol.interface import Done, Interface, Nothing
from jobkeep.protocol.metrics import MetricsReply
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
        self.method: str = f"{interface}.{method}"
        self.reply: type[R] = reply
        self.safe: bool = safe
        self.head: bytes = b'{"method":"%s","parameters":' % self.method.encode()
        typed: Any = _Typed
        self.decode: Callable[[bytes], _Typed[R]] = msgspec.json.Decoder(typed[reply]).decode


class Request(Generic[R]):
    """One call of a route."""

    __slots__ = ("parameters", "route")

    def __init__(self, route: Route[R], parameters: Struct) -> None:
        self.route: Route[R] = route
        self.parameters: Struct = parameters

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


def _route(interface: Interface, method: str, reply: type[R], *, safe: bool = True) -> Route[R]:
    return Route(interface.name, method, reply, safe=safe)


# A submit is safe since it always carries a request id.
SUBMIT = _route(jobs.INTERFACE, "Submit", jobs.SubmitReply)
SUBMIT_MANY = _route(jobs.INTERFACE, "SubmitMany", jobs.SubmitManyReply)
GET = _route(jobs.INTERFACE, "Get", jobs.JobReply)
LIST = _route(jobs.INTERFACE, "List", jobs.ListReply)
CANCEL = _route(jobs.INTERFACE, "Cancel", jobs.StateReply)
RESUME = _route(jobs.INTERFACE, "Resume", jobs.StateReply, safe=False)
RESTART = _route(jobs.INTERFACE, "Restart", jobs.StateReply, safe=False)
REMOVE = _route(jobs.INTERFACE, "Remove", jobs.RemoveReply, safe=False)
# What a page did counts as done when it is asked for again: see its `as_of`.
CANCEL_MATCHING = _route(jobs.INTERFACE, "CancelMatching", jobs.MatchingReply)
RESUME_MATCHING = _route(jobs.INTERFACE, "ResumeMatching", jobs.MatchingReply)
RESTART_MATCHING = _route(jobs.INTERFACE, "RestartMatching", jobs.MatchingReply)
REMOVE_MATCHING = _route(jobs.INTERFACE, "RemoveMatching", jobs.MatchingReply)
WAIT = _route(jobs.INTERFACE, "Wait", jobs.WaitReply)
RESULT = _route(jobs.INTERFACE, "Result", jobs.ResultReply)
LOGS = _route(jobs.INTERFACE, "Logs", jobs.LogChunk)
HISTORY = _route(jobs.INTERFACE, "History", jobs.HistoryReply)
EXPLAIN = _route(jobs.INTERFACE, "Explain", jobs.ExplainReply)
FAILED_ITEMS = _route(jobs.INTERFACE, "FailedItems", jobs.FailedItemsReply)
EVENTS = _route(jobs.INTERFACE, "Events", jobs.EventReply)
# The lease that a client draws makes a repeated Acquire the same one.
ACQUIRE = _route(locks.INTERFACE, "Acquire", locks.AcquireReply)
RENEW = _route(locks.INTERFACE, "Renew", Done)
RELEASE = _route(locks.INTERFACE, "Release", Done, safe=False)
GIVE_UP = _route(locks.INTERFACE, "GiveUp", Done)
LOCKS = _route(locks.INTERFACE, "List", locks.ListReply)
LOCK = _route(locks.INTERFACE, "Show", locks.LockReply)
RESET = _route(locks.INTERFACE, "Reset", locks.ResetReply, safe=False)
PROCESSES = _route(processes.INTERFACE, "List", processes.ListReply)
CLEANUP = _route(processes.INTERFACE, "Cleanup", processes.CleanupReply, safe=False)
QUEUES = _route(queues.INTERFACE, "List", queues.ListReply)
QUEUE = _route(queues.INTERFACE, "Show", queues.QueueReply)
PAUSE = _route(queues.INTERFACE, "Pause", queues.QueueReply)
UNPAUSE = _route(queues.INTERFACE, "Resume", queues.QueueReply)
LIMIT = _route(queues.INTERFACE, "Limit", queues.QueueReply)
SCHEDULES = _route(schedules.INTERFACE, "List", schedules.ListReply)
SCHEDULE = _route(schedules.INTERFACE, "Show", schedules.ScheduleReply)
ADD_SCHEDULE = _route(schedules.INTERFACE, "Add", schedules.ScheduleReply, safe=False)
PAUSE_SCHEDULE = _route(schedules.INTERFACE, "Pause", schedules.ScheduleReply)
RESUME_SCHEDULE = _route(schedules.INTERFACE, "Resume", schedules.ScheduleReply)
TRIGGER_SCHEDULE = _route(schedules.INTERFACE, "Trigger", schedules.TriggerReply)
REMOVE_SCHEDULE = _route(schedules.INTERFACE, "Remove", schedules.ScheduleReply, safe=False)
OPEN_SESSION = _route(sessions.INTERFACE, "Open", sessions.OpenReply)
SESSIONS = _route(sessions.INTERFACE, "List", sessions.ListReply)
CLOSE_SESSION = _route(sessions.INTERFACE, "Close", sessions.CloseReply)
STATUS = _route(admin.INTERFACE, "Status", admin.StatusReply)
METRICS = _route(admin.INTERFACE, "Metrics", MetricsReply)
STOP = _route(admin.INTERFACE, "Stop", admin.StopReply, safe=False)
# Repeated after a break it would reach the next daemon, which has been started to start jobs.
DRAIN = _route(admin.INTERFACE, "Drain", admin.DrainReply, safe=False)
RECOVER = _route(admin.INTERFACE, "Recover", admin.RecoverReply)
UNDRAIN = _route(admin.INTERFACE, "Undrain", admin.UndrainReply)
RELOAD = _route(admin.INTERFACE, "Reload", admin.ReloadReply)
BACKUP = _route(admin.INTERFACE, "Backup", admin.BackupReply, safe=False)
CHECK = _route(admin.INTERFACE, "Check", admin.CheckReply)
SQL = _route(admin.INTERFACE, "Sql", admin.SqlReply)
GET_INFO = _route(service.INTERFACE, "GetInfo", service.Info)

INTERFACES: tuple[Interface, ...] = (
    jobs.INTERFACE, queues.INTERFACE, schedules.INTERFACE, locks.INTERFACE, sessions.INTERFACE, processes.INTERFACE,
    admin.INTERFACE,
)  # fmt: skip
NOTHING = Nothing()
ALL: tuple[Route[Any], ...] = (
    SUBMIT, SUBMIT_MANY, GET, LIST, CANCEL, RESUME, RESTART, WAIT, RESULT, LOGS, HISTORY, EXPLAIN, FAILED_ITEMS,
    EVENTS, QUEUES, QUEUE, PAUSE, UNPAUSE, LIMIT, PROCESSES, CLEANUP, OPEN_SESSION, SESSIONS, CLOSE_SESSION,
    SCHEDULES, SCHEDULE, ADD_SCHEDULE, PAUSE_SCHEDULE, RESUME_SCHEDULE, TRIGGER_SCHEDULE, REMOVE_SCHEDULE,
    REMOVE, CANCEL_MATCHING, RESUME_MATCHING, RESTART_MATCHING, REMOVE_MATCHING,
    RECOVER, ACQUIRE, RENEW, RELEASE, GIVE_UP, LOCKS, LOCK, RESET, STATUS, METRICS, STOP, DRAIN, UNDRAIN, BACKUP, CHECK,
    RELOAD, SQL, GET_INFO,
)  # fmt: skip
