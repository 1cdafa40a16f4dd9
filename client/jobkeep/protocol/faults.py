"""Errors of the wire by name, as typed parameters."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from jobkeep.protocol.vocabulary import JobState, Role


class Fault(Struct, frozen=True):
    """Base of all; a subclass is one Varlink error. `message` is a sentence, `hint` what to do about it."""

    message: str


class NotFound(Fault, frozen=True):
    id: str


class Ambiguous(Fault, frozen=True):
    id: str
    matches: list[str]


class KeyConflict(Fault, frozen=True):
    """A live job has this key."""

    key: str
    id: str
    state: JobState
    since_s: float


class LockHeld(Fault, frozen=True):
    """Somebody else has the lock: a run of `job`, or the process `pid` of user `uid`."""

    name: str
    since_s: float
    kind: Literal["run", "client"]
    job: str | None = None
    pid: int | None = None
    uid: int | None = None


class LeaseLost(Fault, frozen=True):
    """The token is not the lock's any more: stop doing what it protects."""

    name: str
    token: int


class UnknownLock(Fault, frozen=True):
    """The lock was never held."""

    name: str


class UnknownSession(Fault, frozen=True):
    """The session is not configured."""

    name: str
    known: list[str]


class SessionInUse(Fault, frozen=True):
    """Somebody else has the session: the process `pid` of user `uid`, or a run of `job` that holds its lock."""

    name: str
    since_s: float
    kind: Literal["run", "client"]
    job: str | None = None
    pid: int | None = None
    uid: int | None = None


class SessionFailed(Fault, frozen=True):
    """The session cannot be had, and `reason` says why; the output of `job` may tell more."""

    name: str
    reason: str
    job: str | None = None


class Refused(Fault, frozen=True):
    """The job's state does not allow the action."""

    id: str
    action: str
    reason: str
    state: JobState


class Invalid(Fault, frozen=True):
    """A value is well-typed but makes no sense; `field` names it."""

    field: str


class UnknownQueue(Fault, frozen=True):
    queue: str
    known: list[str]


class UnknownSchedule(Fault, frozen=True):
    schedule: str


class ScheduleConflict(Fault, frozen=True):
    """There is one of that name already, or it is in the configuration."""

    schedule: str
    reason: str


class TooLarge(Fault, frozen=True):
    """A part of the message is over its limit (both in bytes)."""

    field: str
    size: int
    limit: int


class RequestMismatch(Fault, frozen=True):
    """The request id was used before, for something else."""

    request_id: str


class NoResult(Fault, frozen=True):
    """The job has not succeeded, so there is no result."""

    id: str
    state: JobState


class NoRun(Fault, frozen=True):
    """The job has no run of that number (yet)."""

    id: str
    run: int | None


class StaleToken(Fault, frozen=True):
    """The fence has passed to a later run: stop working."""

    run: str


class NotThisRun(Fault, frozen=True):
    """No such run is under way, or the cookie is not its own: what is said of it does not count."""

    run: str


class UnknownWorker(Fault, frozen=True):
    """No such seat, or the wrong cookie: end the process."""

    worker: str


class WrongProtocol(Fault, frozen=True):
    """The worker's version of the protocol is none of those that the daemon knows, from `oldest` to `newest`."""

    protocol: int
    oldest: int
    newest: int


class NotPermitted(Fault, frozen=True):
    """`uid` is who asks, by the kernel's word; `role` what that user is here, `needed` the lowest that will do."""

    uid: int
    role: Role | None = None
    needed: Role | None = None
    hint: str | None = None


class LimitReached(Fault, frozen=True):
    """A user has as much of the daemon as one may have: `key` is that of [access], `most` its value."""

    uid: int
    key: str
    most: int


class StorageFull(Fault, frozen=True):
    """No room on the state directory's file system; running jobs go on."""


class StorageFailed(Fault, frozen=True):
    """The store failed; whether the request took effect is unknown until it is asked again by its request id."""


class ShuttingDown(Fault, frozen=True):
    """The daemon is about to end."""


class BadQuery(Fault, frozen=True):
    """The SQL was refused, is wrong, or took too long."""


class SlowReader(Fault, frozen=True):
    """The stream was dropped since its reader did not keep up; ask again after `after`."""

    after: int


class EventsGone(Fault, frozen=True):
    """What follows `after` in the journal is not kept any more; it is whole from `first` on."""

    after: int
    first: int


class Internal(Fault, frozen=True):
    """A bug of the daemon; `reference` finds it in the log."""

    reference: str


FAULTS: dict[str, type[Fault]] = {
    f"org.jobkeep.{interface}.{fault.__name__}": fault
    for interface, faults in {
        "Jobs": (
            NotFound, Ambiguous, KeyConflict, Refused, Invalid, UnknownQueue, TooLarge, RequestMismatch,
            NoResult, NoRun, SlowReader, EventsGone,
        ),
        "Locks": (LockHeld, LeaseLost, UnknownLock),
        "Schedules": (UnknownSchedule, ScheduleConflict),
        "Sessions": (UnknownSession, SessionInUse, SessionFailed),
        "Run": (NotThisRun,),
        "Worker": (StaleToken, UnknownWorker, WrongProtocol),
        "Admin": (NotPermitted, LimitReached, StorageFull, StorageFailed, ShuttingDown, BadQuery, Internal),
    }.items()
    for fault in faults
}  # fmt: skip
