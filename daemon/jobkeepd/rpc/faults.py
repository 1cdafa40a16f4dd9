"""What goes wrong, as errors of the wire: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from jobkeep.protocol import faults
from jobkeep.protocol.faults import Fault
from jobkeep.protocol.vocabulary import JobState
from jobkeepd import errors


class Refusal(errors.DaemonError):
    """An error that is born on the wire's side and knows its own words."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class NoInterface(errors.DaemonError):
    """No such interface: the one error of Varlink itself that a handler has."""

    def __init__(self, interface: str) -> None:
        super().__init__(f"no interface {interface}")
        self.interface = interface


def invalid(field: str, message: str) -> Refusal:
    return Refusal(faults.Invalid(message, field))


def too_large(field: str, size: int, limit: int) -> Refusal:
    return Refusal(faults.TooLarge(f"{field} has {size} bytes, the limit is {limit}", field, size, limit))


def _worded(fault: Callable[[str], Fault], words: str | None = None) -> Callable[[Exception, float], Fault]:
    return lambda error, now: fault(words or str(error))


def _key_conflict(error: errors.KeyTaken, now: float) -> Fault:
    state = cast(JobState, error.state)
    message = f"job {error.job} has the key {error.key} and is {state}"
    return faults.KeyConflict(message, error.key, error.job, state, max(0.0, now - error.created_at))


def _ambiguous(error: errors.AmbiguousJob, now: float) -> Fault:
    return faults.Ambiguous(f"several jobs begin with {error.ref}", error.ref, list(error.matches))


def _unknown_queue(error: errors.UnknownQueue, now: float) -> Fault:
    known = ", ".join(error.known)
    return faults.UnknownQueue(f"there is no queue {error.queue}; there are: {known}", error.queue, error.known)


# By exact class or the nearest base. `now` is for ages.
TABLE: Final[Mapping[type[Exception], Callable[[Any, float], Fault]]] = {
    Refusal: lambda error, now: error.fault,
    errors.UnknownJob: lambda error, now: faults.NotFound(f"there is no job {error.ref}", error.ref),
    errors.AmbiguousJob: _ambiguous,
    errors.IllegalTransition: lambda error, now: faults.Refused(
        str(error), error.job, error.action, error.reason, error.state
    ),
    errors.KeyTaken: _key_conflict,
    errors.RequestMismatch: lambda error, now: faults.RequestMismatch(str(error), error.request_id),
    errors.UnknownQueue: _unknown_queue,
    errors.StaleToken: lambda error, now: faults.StaleToken(str(error), error.run),
    errors.UnknownWorker: lambda error, now: faults.UnknownWorker(str(error), error.worker),
    errors.BadQuery: _worded(faults.BadQuery),
    errors.ShuttingDown: _worded(faults.ShuttingDown, "the daemon is about to end"),
    errors.StorageFull: _worded(faults.StorageFull),
    errors.StoreError: _worded(faults.StorageFailed),  # also StorageFailed and Corrupt: the outcome is unknown
}


def fault_of(error: Exception, now: float) -> Fault | None:
    """The wire's word for an error; None for one that nobody foresaw."""
    for kind in type(error).__mro__:
        make = TABLE.get(kind)
        if make is not None:
            return make(error, now)
    return None
