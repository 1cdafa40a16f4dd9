"""The interface org.jobkeep.Sessions: named long-lived processes, handed out to one client at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from jobkeep.protocol.interface import Interface, Method, Nothing
from jobkeep.protocol.locks import Holder, LeaseId, Ttl
from jobkeep.protocol.vocabulary import Name, Seconds, Text

# starting: it is not ready yet. dead: it has ended by itself, or is about to end. closed: nobody has opened it, or
# somebody has closed it.
SessionState = Literal["starting", "ready", "in_use", "dead", "closed"]
SessionHealth = Literal["ok", "failing", "unknown"]


class Session(Struct, frozen=True, kw_only=True):
    """A session as people see it. Its process is run by a job, whose output and history tell more."""

    name: str
    state: SessionState
    pid: int | None = None  # of its own process
    in_use_by: Holder | None = None
    started_at: datetime | None = None
    health: SessionHealth = "unknown"  # as of the last check
    reason: str | None = None  # why it is failing, or has ended
    info: dict[str, Any] = {}  # what the configuration tells of it
    job: str | None = None  # the one that runs it, or did so last
    waiting: int = 0  # clients that wait for it


class OpenParameters(Struct, forbid_unknown_fields=True):
    """`lease` is drawn by the client, once for each time it opens the session: asking again with it is safe."""

    name: Name
    lease: LeaseId
    ttl_s: Ttl | None = None  # of the lease; default [locks] ttl
    wait_s: Seconds | None = None  # how long to wait while somebody else has it; default: not at all


class OpenReply(Struct):
    """The lease is renewed, and given back, as that of the lock of this name: by org.jobkeep.Locks."""

    lock: str
    token: int
    ttl_s: float
    session: Session


class ListReply(Struct):
    sessions: list[Session]


class CloseParameters(Struct, forbid_unknown_fields=True):
    """End its process, all of it. While somebody uses it with `force` only: the lease is lost then."""

    name: Name
    force: bool = False
    reason: Text | None = None


class CloseReply(Struct):
    session: Session
    ended: str | None = None  # the job whose run was ended for it


INTERFACE = Interface(
    "org.jobkeep.Sessions",
    "Named long-lived processes, handed out to one client at a time.",
    methods=(
        Method("Open", OpenParameters, OpenReply, "Take a session; one that is dead or not there is started first."),
        Method("List", Nothing, ListReply, "All sessions that are configured or alive."),
        Method("Close", CloseParameters, CloseReply, "End the process of a session."),
    ),
)
