"""One connection: messages in, replies out in the order of the calls, memory bounded in both directions."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from jobkeep.errors import MessageTooLarge
from jobkeep.protocol.envelope import Call
from jobkeepd.core.model import Peer
from jobkeepd.rpc.burden import Burden
from jobkeepd.rpc.census import Census
from jobkeepd.rpc.dispatch import Dispatch, Later, Opening, Pending
from jobkeepd.rpc.inbox import Inbox
from jobkeepd.rpc.outbox import Outbox
from jobkeepd.rpc.outlet import StreamOutlet
from jobkeepd.rpc.parameters import UNREADABLE
from jobkeepd.rpc.peer import hung_up
from jobkeepd.rpc.replies import Replies, Reply
from jobkeepd.rpc.settings import RpcSettings
from jobkeepd.rpc.toll import Toll

_decode_call: Final = msgspec.json.Decoder(Call).decode
_BUFFER: Final = memoryview(bytearray(64 << 10))  # what is in it is taken out before anybody else reads


class Connection(asyncio.BufferedProtocol):
    """Implements census.Guest."""

    def __init__(
        self,
        dispatch: Dispatch,
        settings: RpcSettings,
        census: Census,
        peer: Peer,
        groups: tuple[int, ...],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.peer = peer
        self._groups = groups
        self.rights = dispatch.rights(peer, groups)
        self._toll = Toll(census.bucket(peer.uid, self.rights.privileged), loop, self._go_on)
        self._rested = (False, loop.time())
        self._dispatch = dispatch
        self._settings = settings
        self._census = census
        self._loop = loop
        late = partial(self.drop, "message_too_slow")
        self._in = Inbox(settings.message_limit, settings.message_deadline, loop, late)
        self._backlog = self._in.messages
        self._loads = census.loads(peer.uid, loop)
        self._turns = census.turns(loop)
        self._slots = Replies(loop, self._loads, peer, self._settled, self._is_read)
        self._burden = Burden(lambda: self.held, partial(census.weigh, peer.uid), loop)
        self._working = False
        self._ending = False  # nothing more is read; what is under way is answered
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None  # for the rest of the replies
        self._outbox: Outbox | None = None  # until it has been made

    # -- the other end -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        settings = self._settings
        transport.set_write_buffer_limits(high=settings.write_high_water)
        self._transport = transport
        self._in.begin(transport)
        self._outbox = self._out = Outbox(
            transport,
            self._loop,
            settings.drain_deadline,
            on_slow=partial(self.drop, "reader_too_slow"),
            on_heavy=self._burden.written,
        )
        if self._closed:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        began = self._loop.time()
        self._rested = (True, began)
        try:
            self._in.feed(_BUFFER[:nbytes].tobytes())
        except MessageTooLarge:
            self.drop("message_too_large")
            return
        if not self._turns.is_now(self.peer):
            self._in.pause()
            self._turns.wait(self.peer, self._go_on)
        elif self._backlog:
            self._work(began)
        if self._backlog:
            self._in.count()
            self._burden.look()
        elif self._in.unfinished:
            self._burden.look()
        self._turns.took(self.peer, self._loop.time() - began)

    def eof_received(self) -> bool:
        """True keeps the connection: who has only ended its own half still reads our replies, for a while."""
        if self._in.unfinished:
            self._census.complain("message_unfinished", self.peer, size=self._in.unfinished)
        if self._closed or hung_up(self._transport.get_extra_info("socket")):
            return False
        self._ending = True
        self._in.ended()
        self._timer = self._loop.call_later(self._settings.drain_deadline, self._close)
        self._advance()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._census.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        self._out.untime()
        self._in.clear()
        self._toll.cancel()
        self._slots.forget()
        self._loads.leave(self.peer, self._go_on)

    def pause_writing(self) -> None:
        self._out.paused()

    def resume_writing(self) -> None:
        if not self._closed:
            self._out.resumed()
            self._advance()

    # -- calls ---------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """It is its turn, or something has made room."""
        began = self._loop.time()
        self._work(began)
        self._turns.took(self.peer, self._loop.time() - began)

    def _work(self, began: float) -> None:
        """Take up what has been read, as far as the bounds allow; at least one message."""
        backlog, late = self._backlog, False
        self._working = True
        while backlog and not late and not self._is_full() and self._toll.is_paid():
            self._take(backlog.popleft())
            late = bool(backlog) and self._loop.time() - began >= self._turns.share
        self._working = False
        if late:
            self._turns.wait(self.peer, self._go_on)
        if not self._closed:
            self._out.flush()
            turned = self._in.read_on(not backlog and not self._is_full())
            if turned or self._slots:
                self._burden.look()

    def _is_full(self) -> bool:
        if self._closed or not self._out.writable:
            return True
        if self._loads.calls.is_full:
            self._loads.calls.turns.join(self.peer, self._go_on)
            return True
        slots = self._slots
        if not slots:
            return False
        settings = self._settings
        return slots.stands_in_line or len(slots) >= settings.in_flight or slots.size >= settings.in_flight_bytes

    def _take(self, message: bytes) -> None:
        try:
            call = _decode_call(message)
        except UNREADABLE:
            self._census.complain("not_a_call", self.peer, size=len(message))
            self._close()
            return
        answer = self._dispatch.answer(call, self.peer, self.rights)
        if isinstance(answer, bytes):
            if call.oneway:
                return
            if self._slots:
                self._slots.settle(self._slots.put(Reply(0)), answer)
            else:
                self._out.write(answer)
        elif isinstance(answer, Later):
            slot = self._slots.put_short(Reply(len(message), call.oneway))
            answer.latch.then(partial(self._done, slot, answer.method))
        elif isinstance(answer, Pending):
            self._slots.make(Reply(len(message), call.oneway), answer)
        elif not call.oneway:
            self._slots.put_lasting(Reply(len(message))).opening = answer
            self._advance()

    def _done(self, slot: Reply, method: str, value: Struct | Exception | None) -> None:
        self._slots.settle(slot, self._dispatch.frame(value, method))

    def _settled(self) -> None:
        """A reply is there, or a call that stood in line is not there any more."""
        if not self._closed:
            self._advance()
            if self._slots:
                self._burden.look()

    def _is_read(self) -> bool:
        """While nothing is read from the other end it may have gone unseen."""
        if not self._closed and hung_up(self._transport.get_extra_info("socket")):
            self._close()
        return not self._closed

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
            slots.take()
            if slot.frame and not slot.silent:
                self._out.write(slot.frame)
        if self._working or self._closed:
            return
        if self._backlog:
            self._turns.wait(self.peer, self._go_on)
        elif not self._in.reading:
            self._go_on()
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
            self._slots.run(slot, running)

    @property
    def rest(self) -> tuple[bool, float] | None:
        return None if self._slots or self._backlog or self.held else self._rested

    # -- bounds --------------------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        unread = 0 if self._outbox is None else self._outbox.unread
        return self._in.held + self._slots.held + unread

    @property
    def held_for(self) -> float:
        return self._burden.seconds

    def drop(self, why: str) -> None:
        """End it now, whatever is under way."""
        if not self._closed:
            self._census.complain(why, self.peer, held=self.held)
            self._closed = True
            self._slots.discard()
            if self._outbox is not None:  # else as soon as it has been made
                self._transport.abort()

    def finish(self) -> None:
        """Read nothing more, end streams, answer what is under way, then close."""
        if self._closed:
            return
        self._in.end()
        self._ending = True
        self._slots.end_streams()
        self._advance()

    def reconsider(self) -> None:
        """Who may do what has changed: streams and waits that are not permitted any more end, and say so."""
        self.rights = self._dispatch.rights(self.peer, self._groups)
        self._toll.bucket = self._census.bucket(self.peer.uid, self.rights.privileged)
        rights = self.rights
        self._slots.end_others(rights.routes, lambda method: self._dispatch.refused(method, self.peer, rights))
        if self._outbox is not None:
            self._advance()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._slots.discard()
            self._out.close()
