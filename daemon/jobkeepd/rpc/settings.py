"""Bounds of the wire."""

from __future__ import annotations

from msgspec import Struct

from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT


class RpcSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes in bytes, durations in seconds."""

    message_limit: int = DEFAULT_MESSAGE_LIMIT
    message_deadline: float = 10.0  # for the rest of a message that has begun
    drain_deadline: float = 10.0  # for a reader whose buffer is full
    write_high_water: int = 1 << 20  # bytes for one reader that wait in memory, before we stop making more
    in_flight: int = 128  # calls of one connection that wait for their replies
    in_flight_bytes: int = 4 << 20  # of those calls and of the replies that wait for an earlier one
    connections: int = 1024
    connections_per_uid: int = 256
    connections_of_strangers: int = 16  # of all uids that may not talk to us, together
    held_per_uid: int = 32 << 20  # half messages and unread replies of all connections of one uid
    accept_backoff: float = 0.5  # when there are no file descriptors left
    close_within: float = 2.0  # for replies that are under way when the daemon ends
    log_events: int = 20  # about misbehaving peers, in each `log_window`
    log_window: float = 10.0
