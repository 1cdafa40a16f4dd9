"""Errors of the wire as exceptions: one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import MsgspecError, Raw, Struct

from jobkeep import errors
from jobkeep.protocol import faults

SERVICE = "org.varlink.service."


class Unspoken(Struct):
    """Parameters of the errors that Varlink itself defines."""

    parameter: str = ""
    message: str = ""
    method: str = ""
    interface: str = ""


def exception(name: str, parameters: Raw) -> errors.JobkeepError:
    """The exception for an error by its name on the wire; one we do not know is a DaemonError."""
    fault = faults.FAULTS.get(name)
    try:
        if name.startswith(SERVICE):
            return _of_service(name.removeprefix(SERVICE), msgspec.json.decode(parameters, type=Unspoken))
        if fault is not None:
            return EXCEPTIONS[fault](msgspec.json.decode(parameters, type=fault))
    except (MsgspecError, ValueError, RecursionError):
        pass  # a newer daemon's parameters: the name still says what it was
    return errors.DaemonError(_message(parameters) or f"the daemon answered {name}", name)


def _of_service(name: str, said: Unspoken) -> errors.JobkeepError:
    if name == "InvalidParameter":
        why = said.message or f"the daemon does not accept {said.parameter or 'a parameter'}"
        return errors.InvalidRequest(why, said.parameter)
    if name == "PermissionDenied":
        return errors.NotPermitted("the daemon does not permit it")
    if name == "MethodNotFound":
        return errors.ProtocolError(f"the daemon has no method {said.method}; it may be older than this client")
    if name == "InterfaceNotFound":
        return errors.ProtocolError(f"the daemon has no interface {said.interface}; it may be older than this client")
    return errors.ProtocolError(f"the daemon answered {SERVICE}{name} {said.method}".rstrip())


def _message(parameters: Raw) -> str | None:
    try:
        said = msgspec.json.decode(parameters)
    except (MsgspecError, ValueError, RecursionError):
        return None
    message = said.get("message") if isinstance(said, dict) else None
    return message if isinstance(message, str) else None


def _worded(kind: type[errors.JobkeepError]) -> Callable[[Any], errors.JobkeepError]:
    return lambda fault: kind(fault.message)


def _with_facts(kind: type[errors.JobkeepError], *names: str) -> Callable[[Any], errors.JobkeepError]:
    return lambda fault: kind(fault.message, *(getattr(fault, name) for name in names))


def _not_permitted(fault: faults.NotPermitted) -> errors.NotPermitted:
    error = errors.NotPermitted(fault.message)
    error.role, error.needed, error.hint = fault.role, fault.needed, fault.hint
    return error


EXCEPTIONS: dict[type[faults.Fault], Callable[[Any], errors.JobkeepError]] = {
    faults.NotFound: _with_facts(errors.NotFound, "id"),
    faults.Ambiguous: _with_facts(errors.Ambiguous, "id", "matches"),
    faults.KeyConflict: _with_facts(errors.KeyConflict, "key", "id", "state", "since_s"),
    faults.LockHeld: _with_facts(errors.LockHeld, "name", "since_s", "kind", "job", "pid", "uid"),
    faults.LeaseLost: _with_facts(errors.LeaseLost, "name", "token"),
    faults.UnknownLock: _with_facts(errors.UnknownLock, "name"),
    faults.UnknownSession: _with_facts(errors.UnknownSession, "name", "known"),
    faults.SessionInUse: _with_facts(errors.SessionInUse, "name", "since_s", "kind", "job", "pid", "uid"),
    faults.SessionFailed: _with_facts(errors.SessionFailed, "name", "reason", "job"),
    faults.Refused: _with_facts(errors.ActionRefused, "id", "action", "reason", "state"),
    faults.Invalid: _with_facts(errors.InvalidRequest, "field"),
    faults.UnknownQueue: _with_facts(errors.UnknownQueue, "queue", "known"),
    faults.UnknownSchedule: _with_facts(errors.NotFound, "schedule"),
    faults.ScheduleConflict: _worded(errors.Conflict),
    faults.TooLarge: _worded(errors.TooLarge),
    faults.RequestMismatch: _with_facts(errors.RequestMismatch, "request_id"),
    faults.NoResult: _with_facts(errors.NoResult, "id", "state"),
    faults.NoRun: _with_facts(errors.NoRun, "id", "run"),
    faults.SlowReader: _with_facts(errors.StreamDropped, "after"),
    faults.EventsGone: _with_facts(errors.EventsGone, "after", "first"),
    faults.StaleToken: _worded(errors.StaleToken),
    faults.NotThisRun: _worded(errors.StaleToken),
    faults.UnknownWorker: _worded(errors.UnknownWorker),
    faults.WrongProtocol: _with_facts(errors.WrongProtocol, "oldest", "newest"),
    faults.NotPermitted: _not_permitted,
    faults.LimitReached: _worded(errors.LimitReached),
    faults.StorageFull: _worded(errors.StorageFull),
    faults.StorageFailed: _worded(errors.OutcomeUnknown),
    faults.ShuttingDown: _worded(errors.ShuttingDown),
    faults.BadQuery: lambda fault: errors.InvalidRequest(fault.message, "query"),
    faults.Internal: lambda fault: errors.DaemonError(fault.message, "org.jobkeep.Admin.Internal"),
}
