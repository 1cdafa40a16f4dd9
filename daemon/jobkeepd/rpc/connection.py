"""One connection: messages in, replies out in the order of the calls, memory bounded in both directions."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from jobkeep.errors import MessageTooLarge
from jobkeep.protocol.envelope import Call
from jobkeep.protocol.framing import FrameSplitter
from jobkeepd.core.model import Peer
from jobkeepd.rpc.census import Census
from jobkeepd.rpc.dispatch import Dispatch, Later, Opening, Pending
from jobkeepd.rpc.outbox import FLUSH_AT, Outbox
from jobkeepd.rpc.outlet import StreamOutlet
from jobkeepd.rpc.parameters import UNREADABLE
from jobkeepd.rpc.peer import hung_up
from jobkeepd.rpc.replies import Reply
from jobkeepd.rpc.settings import RpcSettings

_decode_call: Final = msgspec.json.Decoder(Call).decode


class Connection(asyncio.Protocol):
    """Implements census.Guest."""

    def __init__(
        self,
        dispatch: Dispatch,
        settings: RpcSettings,
        census: Census,
        peer: Peer,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.peer = peer
        self.permitted = dispatch.permits(peer)
        self._dispatch = dispatch
        self._settings = settings
        self._census = census
        self._loop = loop
        self._splitter = FrameSplitter(settings.message_limit)
        self._backlog: deque[bytes] = deque()  # messages that wait since too much is in flight
        self._slots: deque[Reply] = deque()  # calls whose replies wait, oldest first
        self._slots_size = 0
        self._working = False
        self._reading = True
        self._ending = False  # nothing more is read; what is under way is answered
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None  # for the rest of a message, or of everything
        self._outbox: Outbox | None = None

    # -- the other end -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        settings = self._settings
        transport.set_write_buffer_limits(high=settings.write_high_water)
        self._transport = transport
        self._outbox = self._out = Outbox(
            transport,
            self._loop,
            settings.drain_deadline,
            on_slow=partial(self.drop, "reader_too_slow"),
            on_heavy=partial(self._census.weigh, self.peer.uid),
        )

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._splitter.feed(data)
        except MessageTooLarge:
            self.drop("message_too_large")
            return
        if self._timer is not None or self._splitter.pending:
            self._time_message(bool(messages))
        if messages:
            self._backlog.extend(messages)
            self._work()

    def eof_received(self) -> bool:
        """True keeps the connection: who has only ended its own half still reads our replies, for a while."""
        if self._splitter.pending:
            self._census.complain("message_unfinished", self.peer, size=self._splitter.pending)
        if self._closed or hung_up(self._transport.get_extra_info("socket")):
            return False
        self._ending = True
        self._untime()
        self._timer = self._loop.call_later(self._settings.drain_deadline, self._close)
        self._advance()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._census.remove(self)
        self._untime()
        self._out.untime()
        self._backlog.clear()
        slots, self._slots = self._slots, deque()
        for slot in slots:
            if slot.outlet is not None:
                slot.outlet.over()
            if slot.task is not None and slot.pending is not None and slot.pending.leave:
                slot.task.cancel()

    def pause_writing(self) -> None:
        self._out.paused()

    def resume_writing(self) -> None:
        if not self._closed:
            self._out.resumed()
            self._advance()

    # -- calls ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Take up what has been read, as far as the bounds allow."""
        backlog = self._backlog
        self._working = True
        while backlog and not self._is_full():
            self._take(backlog.popleft())
        self._working = False
        if not self._closed:
            self._out.flush()
            self._read_on(not backlog and not self._is_full())

    def _is_full(self) -> bool:
        if self._closed or not self._out.writable:
            return True
        if not self._slots:
            return False
        settings = self._settings
        return len(self._slots) >= settings.in_flight or self._slots_size >= settings.in_flight_bytes

    def _take(self, message: bytes) -> None:
        try:
            call = _decode_call(message)
        except UNREADABLE:
            self._census.complain("not_a_call", self.peer, size=len(message))
            self._close()
            return
        answer = self._dispatch.answer(call, self.peer, self.permitted)
        if isinstance(answer, bytes):
            if call.oneway:
                return
            if self._slots:
                self._queue(Reply(len(answer))).frame = answer
            else:
                self._out.write(answer)
        elif isinstance(answer, Later):
            slot = self._queue(Reply(len(message), call.oneway))
            answer.latch.then(partial(self._done, slot, answer.method))
        elif isinstance(answer, Pending):
            self._run(self._queue(Reply(len(message), call.oneway)), answer)
        elif not call.oneway:
            self._queue(Reply(len(message))).opening = answer
            self._advance()

    def _queue(self, slot: Reply) -> Reply:
        self._slots.append(slot)
        self._slots_size += slot.size
        return slot

    def _done(self, slot: Reply, method: str, value: Struct | Exception | None) -> None:
        self._settle(slot, self._dispatch.frame(value, method))

    def _run(self, slot: Reply, pending: Pending) -> None:
        slot.pending = pending
        slot.task = self._loop.create_task(self._serve(slot, pending))
        slot.task.add_done_callback(partial(self._left, slot, pending))

    async def _serve(self, slot: Reply, pending: Pending) -> None:
        self._settle(slot, await pending.reply)

    def _left(self, slot: Reply, pending: Pending, task: asyncio.Task[None]) -> None:
        """It may have been cancelled, even before it began; a reply that is there went out already."""
        pending.reply.close()
        pending.inner.close()
        if slot.frame is None:
            self._settle(slot, b"")
        if not task.cancelled():
            task.result()

    def _settle(self, slot: Reply, frame: bytes) -> None:
        if slot.outlet is not None:
            slot.outlet.over()
        slot.frame = frame
        if self._closed:
            return
        self._slots_size += len(slot.frame)
        slot.size += len(slot.frame)
        if self._slots_size > FLUSH_AT and self._slots[0] is not slot:
            self._census.weigh(self.peer.uid)
        self._advance()

    def _advance(self) -> None:
        """Write the replies whose turn has come, and begin the stream whose turn has."""
        slots = self._slots
        while slots and not self._closed and self._out.writable:
            slot = slots[0]
            if slot.frame is None:
                if slot.opening is not None and slot.task is None:
                    self._open(slot, slot.opening)
                if slot.frame is None:
                    break
            slots.popleft()
            self._slots_size -= slot.size
            if slot.frame and not slot.silent:
                self._out.write(slot.frame)
        if self._working or self._closed:
            return
        if self._backlog or not self._reading:
            self._work()
        if slots:
            self._out.flush_soon()
        elif self._ending and not self._backlog:
            self._close()
        else:
            self._out.flush()

    def _open(self, slot: Reply, opening: Opening) -> None:
        slot.outlet = StreamOutlet(self._out, self.drop)
        running = self._dispatch.open(opening, self.peer, slot.outlet)
        if isinstance(running, bytes):
            slot.frame = running
            slot.outlet.over()
        else:
            self._run(slot, running)

    # -- bounds --------------------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        waiting = sum(len(slot.frame) for slot in self._slots if slot.frame)
        unread = 0 if self._outbox is None else self._outbox.unread
        return self._splitter.pending + waiting + unread

    def _read_on(self, reading: bool) -> None:
        if reading == self._reading or self._ending:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
        self._time_message(anew=True)

    def _time_message(self, anew: bool) -> None:
        """The rest of a message has a deadline, as long as it is not us who do not read it."""
        if anew:
            self._untime()
        pending = self._splitter.pending
        if pending and self._reading and self._timer is None:
            late = partial(self.drop, "message_too_slow")
            self._timer = self._loop.call_later(self._settings.message_deadline, late)
        if pending > FLUSH_AT:
            self._census.weigh(self.peer.uid)

    def drop(self, why: str) -> None:
        """End it now, whatever is under way."""
        if not self._closed:
            self._census.complain(why, self.peer, held=self.held)
            self._closed = True
            self._transport.abort()

    def finish(self) -> None:
        """Read nothing more, end streams, answer what is under way, then close."""
        if self._closed:
            return
        self._read_on(False)
        self._untime()
        self._ending = True
        for slot in self._slots:
            if slot.opening is None:
                continue
            if slot.task is None:
                slot.frame = b""
            else:
                slot.task.cancel()
        self._advance()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._out.close()

    def _untime(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
