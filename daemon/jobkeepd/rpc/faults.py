"""What goes wrong, as errors of the wire: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from msgspec import structs

from jobkeep.protocol import faults
from jobkeep.protocol.faults import Fault
from jobkeep.protocol.vocabulary import JobState
from jobkeepd import errors
from jobkeepd.core.authz import NotYours
from jobkeepd.core.lease import Lock, RunHolder
from jobkeepd.core.quota import LimitReached


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


def _since(lock: Lock, now: float) -> float:
    return 0.0 if lock.acquired_at is None else max(0.0, now - lock.acquired_at)


def _lock_held(error: errors.LockTaken, now: float) -> Fault:
    lock: Lock = error.lock
    holder = lock.holder
    assert holder is not None
    since = _since(lock, now)
    if isinstance(holder, RunHolder):
        message = f"the lock {lock.name} is held by job {holder.job}"
        said = faults.LockHeld(message, lock.name, since, "run", job=holder.job)
    else:
        pid = holder.identity.pid
        message = f"the lock {lock.name} is held by process {pid} of user {holder.uid}"
        said = faults.LockHeld(message, lock.name, since, "client", pid=pid, uid=holder.uid)
    if error.reset:
        said = structs.replace(said, message=f"{message}, which is alive")
    return said


def _session_in_use(error: errors.SessionInUse, now: float) -> Fault:
    name, lock = error.session, error.lock
    since = _since(lock, now)
    if isinstance(lock.holder, RunHolder):
        job = lock.holder.job
        return faults.SessionInUse(f"the lock of session {name} is held by job {job}", name, since, "run", job=job)
    pid, uid = lock.holder.identity.pid, lock.holder.uid
    message = f"the session {name} is in use by process {pid} of user {uid}"
    return faults.SessionInUse(message, name, since, "client", pid=pid, uid=uid)


def _unknown_session(error: errors.UnknownSession, now: float) -> Fault:
    known = f"there are: {', '.join(error.known)}" if error.known else "none is configured"
    return faults.UnknownSession(f"there is no session {error.session}; {known}", error.session, error.known)


def limit_reached(error: LimitReached, now: float) -> Fault:
    return faults.LimitReached(str(error), error.uid, error.limit, error.most)


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
    errors.LockTaken: _lock_held,
    errors.LeaseLost: lambda error, now: faults.LeaseLost(str(error), error.lock, error.token),
    errors.PeerUnseen: lambda error, now: faults.NotPermitted(str(error), error.uid),
    NotYours: lambda error, now: faults.NotPermitted(
        str(error), error.uid, "submitter", "operator", "its owner, or an operator, can do it"
    ),
    LimitReached: limit_reached,
    errors.UnknownLock: lambda error, now: faults.UnknownLock(
        f"the lock {error.lock} was never held", error.lock
    ),
    errors.UnknownSession: _unknown_session,
    errors.SessionInUse: _session_in_use,
    errors.SessionFailed: lambda error, now: faults.SessionFailed(
        str(error), error.session, error.reason, error.job
    ),
    errors.UnknownStep: lambda error, now: faults.Invalid(str(error), "ordinal"),
    errors.RequestMismatch: lambda error, now: faults.RequestMismatch(str(error), error.request_id),
    errors.TooManyParents: lambda error, now: faults.Invalid(str(error), "after_label"),
    errors.UnknownQueue: _unknown_queue,
    errors.UnknownSchedule: lambda error, now: faults.UnknownSchedule(str(error), error.schedule),
    errors.ScheduleConflict: lambda error, now: faults.ScheduleConflict(str(error), error.schedule, error.reason),
    errors.BadSchedule: lambda error, now: faults.Invalid(str(error), error.field),
    errors.StaleToken: lambda error, now: faults.StaleToken(str(error), error.run),
    errors.NotThisRun: lambda error, now: faults.NotThisRun(str(error), error.run),
    errors.UnknownWorker: lambda error, now: faults.UnknownWorker(str(error), error.worker),
    errors.WrongProtocol: lambda error, now: faults.WrongProtocol(
        str(error), error.protocol, error.oldest, error.newest
    ),
    errors.BackupRefused: lambda error, now: faults.Invalid(str(error), "file"),
    errors.BadQuery: _worded(faults.BadQuery),
    errors.ShuttingDown: _worded(faults.ShuttingDown, "the daemon is about to end"),
    errors.StorageFull: _worded(faults.StorageFull),
    errors.UnreadableJob: lambda error, now: faults.Internal(str(error), error.job),
    errors.StoreError: _worded(faults.StorageFailed),  # also StorageFailed and Corrupt: the outcome is unknown
}


def fault_of(error: Exception, now: float) -> Fault | None:
    """The wire's word for an error; None for one that nobody foresaw."""
    for kind in type(error).__mro__:
        make = TABLE.get(kind)
        if make is not None:
            return make(error, now)
    return None
