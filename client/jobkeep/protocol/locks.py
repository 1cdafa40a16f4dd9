"""The interface org.jobkeep.Locks: named mutual exclusion between jobs and processes of this host."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from jobkeep.protocol.interface import Done, Interface, Method, Nothing
from jobkeep.protocol.vocabulary import Count, Name, Seconds, Text

LeaseId = Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[!-~]+\Z")]
Ttl = Annotated[float, Meta(ge=1, le=86400)]
LONGEST_LINGER = 3600.0  # seconds


class Holder(Struct, frozen=True):
    """Who has it: a run of `job`, or the process `pid` of user `uid`."""

    kind: Literal["run", "client"]
    job: str | None = None
    run: int | None = None
    pid: int | None = None
    uid: int | None = None


class Lock(Struct, frozen=True, kw_only=True):
    """A lock as people see it. Without a holder it is free, and only its token is left."""

    name: str
    token: int  # rises with each holder and each reset, and never falls
    holder: Holder | None
    acquired_at: datetime | None
    age_s: float | None  # how long the holder has had it
    expires_in_s: float | None  # of the lease, unless it is renewed
    stale: bool  # held for longer than [locks] max_hold
    waiting: int  # jobs (counted up to 1,000) and clients that wait for it


class AcquireParameters(Struct, forbid_unknown_fields=True):
    """`lease` is drawn by the client, once for each time it takes the lock: asking again with it is safe."""

    name: Name
    lease: LeaseId
    ttl_s: Ttl | None = None  # of the lease; default [locks] ttl
    wait_s: Seconds | None = None  # how long to wait for it; default: not at all


class AcquireReply(Struct):
    token: int
    ttl_s: float


class RenewParameters(Struct, forbid_unknown_fields=True):
    """The lease is extended at once; the reply comes after `linger_s`, or as soon as the lease is lost."""

    name: Name
    token: Count
    linger_s: Annotated[float, Meta(ge=0, le=LONGEST_LINGER)] = 0.0


class ReleaseParameters(Struct, forbid_unknown_fields=True):
    name: Name
    token: Count


class GiveUpParameters(Struct, forbid_unknown_fields=True):
    """For whom it is unknown whether its Acquire or its Release took effect: asking again is safe."""

    name: Name
    lease: LeaseId


class LockParameters(Struct, forbid_unknown_fields=True):
    name: Name


class LockReply(Struct):
    lock: Lock


class ListReply(Struct):
    locks: list[Lock]


class ResetParameters(Struct, forbid_unknown_fields=True):
    """Take the lock from its holder. One that is alive loses it with `force` only: its run is ended for sure first."""

    name: Name
    force: bool = False
    reason: Text | None = None


class ResetReply(Struct):
    lock: Lock
    ended: str | None = None  # the job whose run was ended for it


INTERFACE = Interface(
    "org.jobkeep.Locks",
    "Named mutual exclusion between jobs and processes of this host.",
    methods=(
        Method("Acquire", AcquireParameters, AcquireReply, "Take a lock for the calling process. Durable."),
        Method("Renew", RenewParameters, Done, "Extend a lease, and hear when it is lost."),
        Method("Release", ReleaseParameters, Done, "Give a lock back."),
        Method("GiveUp", GiveUpParameters, Done, "End the wait of a lease, and give back what it has."),
        Method("List", Nothing, ListReply, "The locks that are held."),
        Method("Show", LockParameters, LockReply, "One lock."),
        Method("Reset", ResetParameters, ResetReply, "Take a lock from its holder, and raise its token."),
    ),
)
