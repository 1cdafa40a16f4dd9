"""Errors of the wire by name, as typed parameters."""

from __future__ import annotations

from msgspec import Struct

from jobkeep.protocol.vocabulary import JobState


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


class UnknownWorker(Fault, frozen=True):
    """No such seat, or the wrong cookie: end the process."""

    worker: str


class NotPermitted(Fault, frozen=True):
    uid: int


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


class Internal(Fault, frozen=True):
    """A bug of the daemon; `reference` finds it in the log."""

    reference: str


FAULTS: dict[str, type[Fault]] = {
    f"org.jobkeep.{interface}.{fault.__name__}": fault
    for interface, faults in {
        "Jobs": (
            NotFound, Ambiguous, KeyConflict, Refused, Invalid, UnknownQueue, TooLarge, RequestMismatch,
            NoResult, NoRun, SlowReader,
        ),
        "Worker": (StaleToken, UnknownWorker),
        "Admin": (NotPermitted, StorageFull, StorageFailed, ShuttingDown, BadQuery, Internal),
    }.items()
    for fault in faults
}  # fmt: skip
