"""The queue of one connection's replies: a place for each call, in the order of the calls, and who makes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from functools import partial

from jobkeepd.core.model import Peer
from jobkeepd.rpc.dispatch import Opening, Pending
from jobkeepd.rpc.load import CALL, PER_BYTE, Load, Loads
from jobkeepd.rpc.outlet import StreamOutlet


class Reply:
    """The place of one reply in the queue."""

    __slots__ = ("charged", "frame", "held", "last", "load", "opening", "outlet", "pending", "silent", "size", "task")

    def __init__(self, size: int, silent: bool = False) -> None:
        self.size = size
        self.held = 0
        self.charged = 0
        self.load: Load | None = None
        self.silent = silent
        self.frame: bytes | None = None
        self.last = b""  # the frame of one that is ended before it has another
        self.opening: Opening | None = None
        self.pending: Pending | None = None
        self.outlet: StreamOutlet | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def method(self) -> str:
        """Of a stream, or of what is waited for."""
        return self.opening.method if self.opening is not None else self.pending.method if self.pending else ""

    @property
    def can_end(self) -> bool:
        """Whether nothing is lost if it never comes to its end."""
        return self.frame is None and (self.opening is not None or (self.pending is not None and self.pending.leave))

    def end(self, last: bytes) -> None:
        """Now, with this frame."""
        self.last = last
        if self.task is None:
            self.frame = last
        else:
            self.task.cancel()

    def charge(self, load: Load, size: int) -> None:
        """Until `release`."""
        self.load, self.charged = load, size
        load.add(size)

    def release(self) -> None:
        if self.load is not None:
            self.load.remove(self.charged)
            self.load = None


class Replies(deque[Reply]):
    """Calls whose replies wait, oldest first. `size` is that of the calls and of the replies that are there. `held` is
    what stays for as long as the other end likes: such replies, and calls that wait for something to happen.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        loads: Loads,
        peer: Peer,
        settled: Callable[[], None],
        is_read: Callable[[], bool],
    ) -> None:
        """`settled` is called when a reply is there; `is_read` says whether anybody could still read one."""
        super().__init__()
        self._loop = loop
        self._loads = loads
        self._peer = peer
        self._settled = settled
        self._is_read = is_read
        self._next: Reply | None = None  # its turn to be made has not come yet; nothing behind it is taken up
        self._unread = False
        self.size = 0
        self.held = 0

    @property
    def stands_in_line(self) -> bool:
        return self._next is not None

    def put(self, reply: Reply) -> Reply:
        self.append(reply)
        self.size += reply.size
        return reply

    def put_lasting(self, reply: Reply) -> Reply:
        """One that may wait for very long: nobody else shall wait for its end."""
        reply.held = CALL + PER_BYTE * reply.size
        self.held += reply.held
        return self.put(reply)

    def put_short(self, reply: Reply) -> Reply:
        reply.charge(self._loads.calls, CALL + PER_BYTE * reply.size)
        return self.put(reply)

    def make(self, reply: Reply, pending: Pending) -> None:
        """Begin with it: now, or where it may become large when it is this connection's turn."""
        reply.pending = pending
        if pending.cost:
            self.put(reply)
            load = self._load_of(pending)
            if load.has_room:
                self._begin_large(reply, pending)
            else:
                self._next = reply
                load.turns.join(self._peer, self._go_on)
            return
        if pending.leave:
            self.put_lasting(reply)
        else:
            self.put_short(reply)
        self.run(reply, pending)

    def _go_on(self) -> None:
        reply, self._next = self._next, None
        if reply is None or reply.pending is None:
            return
        if reply.frame is not None or (reply.pending.leave and not self._is_read()):
            reply.pending.close()
        else:
            self._begin_large(reply, reply.pending)
        self._settled()

    def _begin_large(self, reply: Reply, pending: Pending) -> None:
        reply.charge(self._load_of(pending), pending.cost)
        self.run(reply, pending)

    def _load_of(self, pending: Pending) -> Load:
        return self._loads.slow if pending.slow else self._loads.replies

    def run(self, reply: Reply, pending: Pending) -> None:
        reply.pending = pending
        reply.task = self._loop.create_task(self._serve(reply, pending))
        reply.task.add_done_callback(partial(self._left, reply, pending))

    async def _serve(self, reply: Reply, pending: Pending) -> None:
        self.settle(reply, await pending.reply)

    def _left(self, reply: Reply, pending: Pending, task: asyncio.Task[None]) -> None:
        """It may have been cancelled, even before it began; a reply that is there went out already."""
        pending.close()
        reply.release()
        if reply.frame is None:
            self.settle(reply, reply.last)
        if not task.cancelled():
            task.result()

    def settle(self, reply: Reply, frame: bytes) -> None:
        if reply.outlet is not None:
            reply.outlet.over()
        reply.release()
        if self._unread:
            return
        self.held += len(frame) - reply.held
        self.size += len(frame)
        reply.held = len(frame)
        reply.size += len(frame)
        reply.frame = frame
        self._settled()

    def take(self) -> Reply:
        """The oldest."""
        reply = self.popleft()
        self.size -= reply.size
        self.held -= reply.held
        return reply

    def end_streams(self) -> None:
        for reply in self:
            if reply.opening is not None:
                reply.end(b"")

    def end_others(self, permitted: Collection[str], last: Callable[[str], bytes]) -> None:
        """Streams and waits of other methods; `last` makes their last frame."""
        for reply in self:
            if reply.can_end and reply.method not in permitted:
                reply.end(last(reply.method))

    def discard(self) -> None:
        """Nobody reads any reply any more: those that are there go now, since hundreds of them are much."""
        self._unread = True
        for reply in self:
            if reply.frame is not None:
                reply.frame = b""
        self.size = self.held = 0

    def forget(self) -> None:
        """The other end is gone: what is only for it ends."""
        self.discard()
        waits = None if self._next is None else self._next.pending
        if waits is not None and waits.leave:  # what changes something has its turn all the same
            self._loads.leave(self._peer, self._go_on)
            waits.close()
        for reply in self:
            if reply.outlet is not None:
                reply.outlet.over()
            if reply.task is not None and reply.pending is not None and reply.pending.stops:
                reply.task.cancel()
        self.clear()
