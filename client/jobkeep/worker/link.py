"""What talks to the daemon: orders come on one connection, replies to reports on another.

The thread at the helm does that, and only it; but see replies.py.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from jobkeep.errors import ProtocolError
from jobkeep.protocol.worker import Order
from jobkeep.worker.absence import Absence
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.awaited import Listener
from jobkeep.worker.courier import Courier
from jobkeep.worker.handshake import Handshake, NotUnderstood
from jobkeep.worker.helm import Helm
from jobkeep.worker.lines import Lines
from jobkeep.worker.log import Log
from jobkeep.worker.renewal import Handover
from jobkeep.worker.roster import Roster
from jobkeep.worker.settings import Settings
from jobkeep.worker.spool import Refuge, Spool
from jobkeep.worker.wire import FENCED, decode_order, decode_reply, fault_of

SETTLE_S: Final = 1.0  # for what had better arrive before a fresh interpreter takes over, or begins
FENCED_EXIT: Final = 3
_GONE = (OSError, ProtocolError, msgspec.MsgspecError)


class Link:
    """`next_run` brings runs to the main thread, and None when the process is to end with `exit_code`."""

    def __init__(self, settings: Settings) -> None:
        self.exit_code = 0
        self._settings = settings
        self._roster = roster = Roster()
        self._helm = Helm(self._turn_safely)
        listener = Listener(durable=roster.stored, refused=roster.refused, fenced=self._fenced)
        self._handshake = Handshake(settings)
        self._files = Spool(settings.spool)
        self.courier = Courier(self._files, listener, self._helm.wake, self._helm.attend)
        self._lines = Lines(self._helm)
        self._log = Log()
        self._refuge = Refuge(self.courier.spool, self._log.note)
        now = time.monotonic()
        self._absence = Absence(settings, now)
        self._beat_at = now + settings.beat_s
        self._abort_at: float | None = None
        self._back_at: float | None = None  # when a turn has to return
        self._leaving = False  # the main thread takes no more runs
        self._over = False

    # Main thread

    def start(self) -> None:
        """Begin, with what an earlier interpreter of this process has handed over."""
        self._helm.start()
        os.register_at_fork(after_in_child=self._lines.drop)
        handover = self._settings.origin.handover
        if handover is None:
            return
        self._files.written.update(handover.spooled)
        self.courier.say(handover.unsaid)
        self._roster.add(handover.order, self.courier, self._settings.attention_s).begun = True  # and Attach says so
        if handover.retire:
            self._roster.retire()
        self._connect()
        self._turn_until(lambda: not self._alone)

    def next_run(self) -> ActiveRun | None:
        """Wait for it; `ended` or `recall` must follow."""
        self._helm.take()
        while not self._roster.waiting:
            self._listen()
        run = self._roster.begin()
        if run is not None:
            self._helm.leave_for_run()
        return run

    def ended(self, run: ActiveRun) -> None:
        """The job's function has returned."""
        run.leave()
        self._roster.remove(run)
        self._helm.run_ended()

    def recall(self, run: ActiveRun) -> Handover | None:
        """What another interpreter must know to execute it, or None if it is not to be executed any more.

        Nothing of it has been executed yet. What came after it is given to others by the daemon, which sees the
        connections close. `proceed` follows, if there is no other interpreter after all.
        """
        self._helm.run_ended()
        self._helm.take()
        self._turn_until(lambda: self.courier.settled)
        self._back_at = time.monotonic()
        self._turn_safely()  # a stop may have come in the meantime
        self._back_at = None
        if run.stop_reason is not None:
            self.proceed()
            return None
        return Handover(
            order=run.order,
            retire=self._roster.retires,
            unsaid=self.courier.unsaid(),
            spooled=list(self._files.written),
        )

    def proceed(self) -> None:
        """The run that was recalled ends here."""
        self._helm.leave_for_run()

    def leave(self) -> None:
        """Return once all reports have arrived, or are on disk and the daemon has been away for long."""
        self._helm.take()
        self._leaving = True
        with self._losing_connection():
            self._work_off(time.monotonic())  # the last reply may have come already
        while not self._over:
            self._turn_safely()
        self._helm.stop()

    # At the helm

    def _turn_until(self, is_done: Callable[[], bool]) -> None:
        """Or for a moment only."""
        self._back_at = time.monotonic() + SETTLE_S
        while not is_done() and time.monotonic() < self._back_at:
            self._turn_safely()
        self._back_at = None

    def _turn_safely(self) -> None:
        with self._losing_connection():
            self.turn()

    @contextmanager
    def _losing_connection(self) -> Iterator[None]:
        try:
            yield
        except _GONE as error:
            self._disconnect(error)

    def _listen(self) -> None:
        """Wait for an order and nothing else for a moment, if there is nothing else to do; else `turn`."""
        orders = self._lines.orders
        if orders is None or self._leaving or self._abort_at is not None or self.courier.wants_write:
            self._turn_safely()
            return
        try:
            messages = orders.listen()
            if not messages:
                self.turn()
            self._heed(messages)
            if self.courier.replies.overdue(now := time.monotonic()):
                self.courier.receive()
                self._work_off(now)
        except _GONE as error:
            self._disconnect(error)

    def turn(self) -> None:
        """One turn of the loop. Raises what means that the connection is of no more use."""
        now = time.monotonic()
        if self._alone:
            self._refuge.take(now)  # before anything else: a daemon that answers nothing may come and go
        if self._lines.orders is None and now >= self._absence.dial_at:
            self._connect()
        tended = self.courier.replies.tended_for(now := time.monotonic())
        for line, event in self._lines.wait(self._patience(now, tended), replies=not tended):
            if line == "bell":
                self._helm.answer()
            elif line == "orders" and self._lines.orders is not None:
                self._heed(self._lines.orders.receive())
            elif line == "reports":
                if event & select.POLLOUT:
                    self.courier.flush()
                if event & ~select.POLLOUT and self.courier.receive():
                    self._absence.interrupt()
        if self.courier.replies.left and self.courier.receive():
            self._absence.interrupt()
        self._work_off(time.monotonic())

    @property
    def _alone(self) -> bool:
        """There is no daemon that takes reports."""
        return self._lines.orders is None or self._handshake.pending

    def _connect(self) -> None:
        lines = self._lines
        try:
            lines.dial(self._settings.socket)
        except OSError:
            self._absence.retry_later(time.monotonic())
            return
        assert lines.orders is not None
        self._roster.drop_unbegun()  # the daemon knows by what Attach names that we do not have it
        held = self.courier.held_run()
        if (current := self._roster.under_way) is not None:
            held = current.order.run, current.order.fence
        lines.orders.send(self._handshake.hello(held, time.monotonic()))

    def _disconnect(self, why: Exception) -> None:
        if self._lines.orders is None:
            return
        with suppress(*_GONE):
            while self.courier.receive():  # replies that nobody has read yet
                pass
        self._log.note(f"the daemon is gone: {why}")
        self.courier.disconnect()
        self._lines.hang_up()
        self._handshake.end()
        self._absence.begin(time.monotonic(), for_long=isinstance(why, NotUnderstood))

    def _heed(self, messages: list[bytes]) -> None:
        for message in messages:
            reply = decode_reply(message)
            fault = fault_of(reply)
            if fault in FENCED:
                for run in self._roster.all:
                    self.courier.fence(run.order.run if fault == "StaleToken" else None, run.order.run)
                self._fenced(None)
                return
            if fault == "WrongProtocol":
                self._handshake.settle(reply.parameters)
            if fault is not None:
                raise ConnectionError(f"Attach was answered with {fault}")
            self._absence.interrupt()
            self._obey(decode_order(reply.parameters))
            if not reply.continues:
                raise ConnectionError("the stream of orders has ended")

    def _obey(self, order: Order) -> None:
        if order.kind == "welcome" and self._lines.reports is not None:
            self._handshake.end()
            self.courier.connect(self._lines.reports)
        elif order.kind == "run" and order.run is not None:
            if self._leaving:
                return  # the daemon knows from the last report that we take none
            if not self._roster.all:
                self._beat_at = time.monotonic() + self._settings.beat_s
            self._roster.add(order.run, self.courier, self._settings.attention_s)
        elif order.kind == "stop":
            self._roster.stop(order, time.monotonic())
        elif order.kind == "retire":
            self._roster.retire()

    def _work_off(self, now: float) -> None:
        settings = self._settings
        runs, current = self._roster.all, self._roster.under_way
        if current is not None and now >= self._beat_at:
            self._beat_at = now + settings.beat_s
            current.beat()
        for run in runs:
            run.work_off(now)
        if self._abort_at is not None and now >= self._abort_at:
            os._exit(FENCED_EXIT)  # a job that cannot be cancelled and has no right to go on
        if self._lines.orders is not None:
            if self._handshake.overdue(now) or self.courier.replies.oldest_wait(now) > settings.reply_s:
                raise ConnectionError("no reply")
            self._over = self._leaving and self.courier.settled
            return
        self._refuge.take(now)
        forsaken = self._absence.is_long(now) and self.courier.spooled
        if self._leaving:
            self._over = forsaken or self.courier.settled
        elif forsaken and not runs:
            self._roster.retire()
            self._absence.forget(now)  # said once

    def _patience(self, now: float, tended: float) -> float:
        """Milliseconds until something is due."""
        settings = self._settings
        due = [now + (tended or settings.reply_s)]  # reports go out without this thread, and may get no reply
        if self._roster.under_way is not None:
            due.append(self._beat_at)
        due += [at for run in self._roster.all for at in run.due()]
        due += [at for at in (self._abort_at, self._back_at) if at is not None]
        if self._lines.orders is None:
            due += self._absence.due(now)
        if self._alone:
            if not self.courier.spooled:
                due.append(self._refuge.at)
        elif (waited := self.courier.replies.oldest_wait(now)) > 0:
            due.append(now + settings.reply_s - waited + 0.01)
        return max(0.0, (min(due) - now) * 1000 + 0.5)

    def _fenced(self, run: str | None) -> None:
        """The lease of a run is lost, or of all: end it, and then the process. One that has ended needs no lease."""
        fenced = self._roster.fence(run)
        if fenced:
            self._abort_at = time.monotonic() + self._settings.fenced_s
        if fenced or run is None:
            self.exit_code = FENCED_EXIT
