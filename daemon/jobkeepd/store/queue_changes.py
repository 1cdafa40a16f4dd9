"""The changes about queues as a whole. Part of the union in changes.py."""

from __future__ import annotations

from msgspec import Struct

from jobkeepd.core.model import Peer
from jobkeepd.core.queueing import Order


class ControlQueue(Struct, frozen=True, kw_only=True):
    """Pause or resume a queue, or set its limit; without `limit` that of the configuration counts. -> Control.

    Journal: queue_paused | queue_resumed | queue_limited, unless it was so before.
    """

    queue: str
    order: Order
    by: Peer
    at: float
    limit: int | None = None
    reason: str | None = None


class UnblockLimited(Struct, frozen=True, kw_only=True):
    """Let the first of those that wait for each label's limit try: with another configuration there may be room.

    The first `limit` values behind `after`. -> the last of these, None when there are no more. Journal: unblocked.
    """

    at: float
    after: str = ""
    limit: int = 200
