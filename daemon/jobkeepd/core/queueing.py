"""What people have said about a queue at run time: that it is paused, or how many of its jobs run at once. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from jobkeepd.core.model import Peer

Order = Literal["pause", "resume", "limit"]


class Deed(Struct, frozen=True):
    """Who did it, when (UTC seconds) and why."""

    by: Peer
    at: float
    reason: str | None = None


class Control(Struct, frozen=True, kw_only=True):
    """Of one queue. What nobody has said anything about is as the configuration has it."""

    name: str
    paused: Deed | None = None
    limit: int | None = None
    limited: Deed | None = None  # who set the limit


def obey(before: Control, order: Order, limit: int | None, deed: Deed) -> Control:
    """The same object where there is nothing to do. A queue that is paused already stays so by whoever was first."""
    match order:
        case "pause":
            return before if before.paused is not None else replace(before, paused=deed)
        case "resume":
            return before if before.paused is None else replace(before, paused=None)
        case "limit":
            if limit == before.limit:
                return before
            return replace(before, limit=limit, limited=None if limit is None else deed)
