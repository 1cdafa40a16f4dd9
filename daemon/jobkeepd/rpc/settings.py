"""Bounds of the wire."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT
from jobkeepd.supervisor.settings import Bytes


class AccessSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[access]`: who has which role, as user:NAME or group:NAME; a name may be a number.

    None: nobody, or on the socket of the host the groups that come with it.
    """

    viewers: list[str] | None = None
    submitters: list[str] | None = None
    operators: list[str] | None = None
    admins: list[str] | None = None
    max_connections: Annotated[int, Meta(ge=1, le=65536)] = 256  # at once; this and what follows: of each user
    max_message_rate: Annotated[float, Meta(ge=0, le=1e9)] = 0.0  # per second; 0: any
    max_queued: Annotated[int, Meta(ge=0, le=1 << 40)] = 0  # jobs that have not been started; 0: any number
    max_log_bytes: Bytes = 0  # of output of runs that are under way; 0: any number


class RpcSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes in bytes, durations in seconds."""

    message_limit: int = DEFAULT_MESSAGE_LIMIT
    message_deadline: float = 10.0  # for the rest of a message that has begun
    drain_deadline: float = 10.0  # for a reader whose buffer is full
    write_high_water: int = 1 << 20  # bytes for one reader that wait in memory, before we stop making more
    in_flight: int = 128  # calls of one connection that wait for their replies
    turn: float = 0.004  # that all connections may take of one turn of the loop, before others wait for the next
    in_flight_bytes: int = 4 << 20  # of those calls and of the replies that wait for an earlier one
    connections: int = 1024
    connections_reserved: int = 64  # of those, for who administers, and for processes of jobs
    connections_of_strangers: int = 16  # of all uids that may not talk to us, together
    refused_at_once: int = 32  # who are told why, and have time to read it
    refused_for: float = 1.0
    # Of all connections of one uid together:
    held_per_uid: int = 24 << 20  # half messages, calls not taken up, waiting calls, unread replies; over it: dropped
    calls_per_uid: int = 16 << 20  # calls that are being answered; over it no more are taken up
    replies_per_uid: int = 8 << 20  # large replies in the making; over it the next waits. As much of slow ones
    accept_backoff: float = 0.5  # when there are no file descriptors left
    close_within: float = 2.0  # for replies that are under way when the daemon ends
    log_events: int = 20  # about misbehaving peers, in each `log_window`
    log_window: float = 10.0
