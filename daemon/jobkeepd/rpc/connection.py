"""One connection: messages in, replies out in the order of the calls, memory bounded in both directions."""

from __future__ import annotations

import asyncio
import select
from collections import deque
from functools import partial
from typing import Final

import msgspec

from jobkeep.errors import MessageTooLarge
from jobkeep.protocol.envelope import Call
from jobkeep.protocol.framing import FrameSplitter
from jobkeepd.core.model import Peer
from jobkeepd.rpc.census import Census
from jobkeepd.rpc.dispatch import Dispatch, Opening, Pending
from jobkeepd.rpc.outlet import StreamOutlet
from jobkeepd.rpc.parameters import UNREADABLE
from jobkeepd.rpc.settings import RpcSettings

_FLUSH_AT: Final = 64 << 10  # bytes of replies that are worth a write of their own
_decode_call: Final = msgspec.json.Decoder(Call).decode


class Slot:
    """The place of one reply in the queue."""

    __slots__ = ("frame", "opening", "outlet", "pending", "silent", "size", "task")

    def __init__(self, size: int, silent: bool = False) -> None:
        self.size = size
        self.silent = silent
        self.frame: bytes | None = None
        self.pending: Pending | None = None
        self.opening: Opening | None = None
        self.outlet: StreamOutlet | None = None
        self.task: asyncio.Task[bytes] | None = None


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
        self._slots: deque[Slot] = deque()  # calls whose replies wait, oldest first
        self._slots_size = 0
        self._out: list[bytes] = []
        self._out_size = 0
        self._flush_is_due = False
        self._working = False
        self._writable = True
        self._reading = True
        self._ending = False  # nothing more is read; what is under way is answered
        self._closed = False
        self._drained: asyncio.Future[None] | None = None
        self._message_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._made = False
        self._transport: asyncio.Transport

    # -- the other end -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=self._settings.write_high_water)
        self._transport = transport
        self._made = True

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._splitter.feed(data)
        except MessageTooLarge:
            self.drop("message_too_large")
            return
        if self._message_timer is not None or self._splitter.pending:
            self._time_message(bool(messages))
        if messages:
            self._backlog.extend(messages)
            self._work()

    def eof_received(self) -> bool:
        """True keeps the connection: who has only ended its own half still reads our replies, for a while."""
        if self._splitter.pending:
            self._census.complain("message_unfinished", self.peer, size=self._splitter.pending)
        if self._closed or _hung_up(self._transport.get_extra_info("socket").fileno()):
            return False
        self._ending = True
        self._end_timer = self._loop.call_later(self._settings.drain_deadline, self._close)
        self._advance()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._census.remove(self)
        self._cancel_timers()
        self._backlog.clear()
        slots, self._slots = self._slots, deque()
        for slot in slots:
            if slot.outlet is not None:
                slot.outlet.over()
            if slot.task is not None and slot.pending is not None and slot.pending.leave:
                slot.task.cancel()

    def pause_writing(self) -> None:
        self._writable = False
        if self._drain_timer is None:
            wait = self._settings.drain_deadline
            self._drain_timer = self._loop.call_later(wait, self.drop, "reader_too_slow")

    def resume_writing(self) -> None:
        self._writable = True
        if self._drain_timer is not None and not self._closed:
            self._drain_timer.cancel()
            self._drain_timer = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._advance()

    # -- calls ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Take up what has been read, as far as the bounds allow."""
        backlog = self._backlog
        self._working = True
        while backlog and not self._is_full():
            self._take(backlog.popleft())
        self._working = False
        if self._out:
            self._flush()
        self._read_on(not backlog and not self._is_full())

    def _is_full(self) -> bool:
        if not self._slots:
            return self._closed or not self._writable
        return (
            self._closed
            or not self._writable
            or len(self._slots) >= self._settings.in_flight
            or self._slots_size >= self._settings.in_flight_bytes
        )

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
            if not self._slots:
                self._write(answer)
                return
            self._queue(Slot(len(answer))).frame = answer
        elif isinstance(answer, Pending):
            self._run(self._queue(Slot(len(message), call.oneway)), answer)
        elif not call.oneway:
            self._queue(Slot(len(message))).opening = answer
            if len(self._slots) == 1:
                self._advance()

    def _queue(self, slot: Slot) -> Slot:
        self._slots.append(slot)
        self._slots_size += slot.size
        return slot

    def _run(self, slot: Slot, pending: Pending) -> None:
        slot.pending = pending
        slot.task = self._loop.create_task(pending.reply)
        slot.task.add_done_callback(partial(self._settled, slot, pending))

    def _settled(self, slot: Slot, pending: Pending, task: asyncio.Task[bytes]) -> None:
        pending.inner.close()  # in case that it was cancelled before it began
        if slot.outlet is not None:
            slot.outlet.over()
        slot.frame = b"" if task.cancelled() else task.result()
        if self._closed:
            return
        self._slots_size += len(slot.frame)
        slot.size += len(slot.frame)
        if self._slots_size > _FLUSH_AT and self._slots[0] is not slot:
            self._census.weigh(self.peer.uid)
        self._advance()

    def _advance(self) -> None:
        """Write the replies whose turn has come, and begin the stream whose turn has."""
        slots = self._slots
        while slots and self._writable and not self._closed:
            slot = slots[0]
            if slot.frame is None:
                if slot.opening is not None and slot.task is None:
                    self._open(slot, slot.opening)
                if slot.frame is None:
                    break
            slots.popleft()
            self._slots_size -= slot.size
            if not slot.silent:
                self._write(slot.frame)
        if self._working:
            return
        if self._backlog or not self._reading:
            self._work()
        self._flush_soon()
        if self._ending and not slots and not self._backlog:
            self._close()

    def _open(self, slot: Slot, opening: Opening) -> None:
        slot.outlet = StreamOutlet(self)
        running = self._dispatch.open(opening, self.peer, slot.outlet)
        if isinstance(running, bytes):
            slot.frame = running
            slot.outlet.over()
        else:
            self._run(slot, running)

    # -- replies -------------------------------------------------------------------------------------------------

    def stream(self, frame: bytes) -> None:
        """One reply of the stream whose turn it is."""
        self._write(frame)
        self._flush_soon()

    async def drained(self) -> None:
        """Wait while the reader has too much unread; others get their turn in any case after a large write."""
        if self._out_size == 0:  # it has just been flushed
            await asyncio.sleep(0)
        while not self._writable and not self._closed:
            self._drained = self._loop.create_future()
            await self._drained

    @property
    def writable(self) -> bool:
        return self._writable

    def _write(self, frame: bytes) -> None:
        self._out.append(frame)
        self._out_size += len(frame)
        if self._out_size > _FLUSH_AT:
            self._flush()

    def _flush(self) -> None:
        self._flush_is_due = False
        out = self._out
        if not out or self._closed:
            return
        self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._out = []
        self._out_size = 0
        if self._transport.get_write_buffer_size() > _FLUSH_AT:
            self._census.weigh(self.peer.uid)

    def _flush_soon(self) -> None:
        """At once when nothing else is coming, else together with what this turn of the loop brings."""
        if not self._out:
            return
        if not self._slots:
            self._flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    # -- bounds --------------------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        waiting = sum(len(slot.frame) for slot in self._slots if slot.frame)
        unread = self._transport.get_write_buffer_size() if self._made else 0
        return self._splitter.pending + waiting + unread

    def _read_on(self, reading: bool) -> None:
        if reading == self._reading or self._closed or self._ending:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
        self._time_message(True)

    def _time_message(self, anew: bool) -> None:
        """The rest of a message has a deadline, as long as it is not us who do not read it."""
        if anew and self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None
        pending = self._splitter.pending
        if pending and self._reading and self._message_timer is None:
            wait = self._settings.message_deadline
            self._message_timer = self._loop.call_later(wait, self.drop, "message_too_slow")
        if pending > _FLUSH_AT:
            self._census.weigh(self.peer.uid)

    def drop(self, why: str) -> None:
        """End it now, whatever is under way."""
        if self._closed:
            return
        self._census.complain(why, self.peer, held=self.held)
        self._closed = True
        self._transport.abort()

    def finish(self) -> None:
        """Read nothing more, end streams, answer what is under way, then close."""
        if self._closed or self._ending:
            return
        self._read_on(False)
        self._ending = True
        for slot in self._slots:
            if slot.opening is not None:
                if slot.task is not None:
                    slot.task.cancel()
                else:
                    slot.frame = b""
        self._advance()

    def _close(self) -> None:
        if self._closed:
            return
        self._flush()
        self._closed = True
        self._transport.close()
        if self._transport.get_write_buffer_size() and self._drain_timer is None:
            wait = self._settings.drain_deadline
            self._drain_timer = self._loop.call_later(wait, self._transport.abort)

    def _cancel_timers(self) -> None:
        for timer in (self._message_timer, self._drain_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        self._message_timer = self._drain_timer = self._end_timer = None


def _hung_up(fd: int) -> bool:
    """Whether the other end is closed in both directions."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
