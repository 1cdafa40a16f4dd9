"""The queue of one connection's replies: a place for each call, in the order of the calls."""

from __future__ import annotations

import asyncio

from jobkeepd.rpc.dispatch import Opening, Pending
from jobkeepd.rpc.outlet import StreamOutlet


class Reply:
    """The place of one reply in the queue."""

    __slots__ = ("frame", "opening", "outlet", "pending", "silent", "size", "task")

    def __init__(self, size: int, silent: bool = False) -> None:
        self.size = size
        self.silent = silent
        self.frame: bytes | None = None
        self.opening: Opening | None = None
        self.pending: Pending | None = None
        self.outlet: StreamOutlet | None = None
        self.task: asyncio.Task[None] | None = None
