"""The interface org.jobkeep.Queues: look at queues, pause and limit them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from jobkeep.protocol.interface import Interface, Method, Nothing
from jobkeep.protocol.vocabulary import Name, Text

HIGHEST_LIMIT = 10_000
Limit = Annotated[int, Meta(ge=1, le=HIGHEST_LIMIT)]


class Deed(Struct, frozen=True):
    """Who did it, when and why."""

    uid: int
    pid: int
    at: datetime
    reason: str | None = None


class Queue(Struct, frozen=True, kw_only=True):
    """A queue as people see it. `limit` is what counts, `configured` what the configuration says."""

    name: str
    limit: int
    configured: int | None  # None: not in the configuration any more; what is left of its jobs is run one by one
    running: int
    queued: int
    scheduled: int
    paused: Deed | None  # nothing of it is started
    limited: Deed | None  # who has set the limit at run time


class QueueParameters(Struct, forbid_unknown_fields=True):
    name: Name


class ControlParameters(Struct, forbid_unknown_fields=True):
    name: Name
    reason: Text | None = None


class LimitParameters(Struct, forbid_unknown_fields=True):
    """Without `limit` that of the configuration counts again."""

    name: Name
    limit: Limit | None = None
    reason: Text | None = None


class QueueReply(Struct):
    queue: Queue


class ListReply(Struct):
    queues: list[Queue]


INTERFACE = Interface(
    "org.jobkeep.Queues",
    "The lanes that jobs wait in. What is said here counts until it is said otherwise, across restarts.",
    methods=(
        Method("List", Nothing, ListReply, "All queues."),
        Method("Show", QueueParameters, QueueReply, "One queue."),
        Method("Pause", ControlParameters, QueueReply, "Start none of its jobs; those that run go on. Durable."),
        Method("Resume", ControlParameters, QueueReply, "Start its jobs again."),
        Method("Limit", LimitParameters, QueueReply, "How many of its jobs run at once. Those that run go on."),
    ),
)
