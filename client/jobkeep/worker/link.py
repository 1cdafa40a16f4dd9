"""What talks to the daemon: orders come on one connection, replies to reports on another.

The thread at the helm does that, and only it: the main thread while it is idle, so that a short run costs no switch of
threads; while a job runs, the link thread, as soon as that takes longer or waits for a reply.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from jobkeep.errors import ProtocolError
from jobkeep.protocol.vocabulary import PROTOCOL_VERSION
from jobkeep.protocol.worker import AttachParameters, Order
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.channel import Channel
from jobkeep.worker.courier import Courier, Listener
from jobkeep.worker.settings import Settings
from jobkeep.worker.spool import Spool
from jobkeep.worker.wire import FENCED, call, decode_order, decode_reply, fault_of

DIAL_S: Final = 5.0
PACE_MS: Final = 5  # a run that is seen at two paces gets the link thread to the helm
FENCED_EXIT: Final = 3
_GONE = (OSError, ProtocolError, msgspec.MsgspecError)


class Link:
    """`next_run` brings runs to the main thread, and None when the process is to end with `exit_code`."""

    def __init__(self, settings: Settings) -> None:
        self.exit_code = 0
        self._settings = settings
        self._inbox: deque[ActiveRun | None] = deque()
        self._helm = threading.Lock()
        self._helm.acquire()  # the main thread's, until the first run
        self._is_mine = True  # the main thread has it
        self._serial = 0  # odd while a job runs; written by the main thread only
        self._relieved = False  # the link thread is at the helm
        self._parked = False  # the link thread sleeps until it is rung for
        self._called = False  # it is wanted at the helm
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        listener = Listener(durable=self._stored, refused=self._refused, fenced=self._fenced)
        self.courier = Courier(Spool(settings.spool), listener, self.wake, self._attend)
        self._orders: Channel | None = None
        self._reports: Channel | None = None
        self._log = os.dup(2)
        self._poll = select.poll()
        self._poll.register(self._wake_read, select.POLLIN)
        self._bell = select.poll()
        self._bell.register(self._wake_read, select.POLLIN)
        self._runs: dict[str, ActiveRun] = {}
        self._thread = threading.Thread(target=self._stand_by, name="jobkeep link", daemon=True)
        now = time.monotonic()
        self._backoff = settings.backoff_s
        self._dial_at = now
        self._spool_at = now
        self._beat_at = now + settings.beat_s
        self._alone_since = now
        self._abort_at: float | None = None
        self._leaving = False  # the main thread takes no more runs
        self._over = False

    # Main thread

    def start(self) -> None:
        self._thread.start()
        os.register_at_fork(after_in_child=self._drop)

    def next_run(self) -> ActiveRun | None:
        """Wait for it; `ended` must follow."""
        self._take_helm()
        inbox = self._inbox
        while not inbox:
            self._steer(self._listen)
        run = inbox.popleft()
        if run is not None:
            self._serial += 1
            self._is_mine = False
            self._helm.release()
            if self._parked:  # read after serial was written; the link thread does it the other way round
                self._parked = False
                self._ring()
        return run

    def ended(self, run: ActiveRun) -> None:
        """The job's function has returned."""
        run.leave()
        self._runs.pop(run.order.run, None)
        self._serial += 1

    def leave(self) -> None:
        """Return once all reports have arrived, or are on disk and the daemon has been away for long."""
        self._take_helm()
        self._leaving = True
        self._steer(lambda: self._work_off(time.monotonic()))  # the last reply may have come already
        while not self._over:
            self._steer(self.turn)
        self._ring()
        self._thread.join()

    def _take_helm(self) -> None:
        if self._is_mine:
            return
        if not self._helm.acquire(blocking=False):
            self._ring()
            self._helm.acquire()
        self._is_mine = True

    def _listen(self) -> None:
        """Wait for an order and nothing else for a moment, if there is nothing else to do; else `turn`."""
        orders = self._orders
        if orders is None or self._leaving or self._abort_at is not None or self.courier.wants_write:
            self.turn()
            return
        messages = orders.listen()
        if not messages:
            self.turn()
        self._heed(messages)
        if self.courier.overdue(now := time.monotonic()):
            self.courier.receive()
            self._work_off(now)

    # Any thread

    def wake(self) -> None:
        """Have the link thread at the helm while a job runs, and make it look at what has changed."""
        self._called = True
        self._ring()

    def _attend(self) -> None:
        if not self._relieved:
            self.wake()

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            os.write(self._wake_write, b"w")

    # The link thread

    def _stand_by(self) -> None:
        seen = 0
        while not self._over:
            if not self._called:
                self._await_ring(PACE_MS)
            called, self._called = self._called, False
            serial = self._serial
            if serial & 1:
                if called or serial == seen:
                    self._relieve(serial)
            elif serial == seen:
                self._parked = True
                if self._serial == serial and not self._over:
                    self._await_ring(None)
                self._parked = False
            seen = serial

    def _await_ring(self, patience_ms: int | None) -> None:
        if self._bell.poll(patience_ms):
            self._hush()

    def _hush(self) -> None:
        with suppress(BlockingIOError):  # the other thread was faster
            os.read(self._wake_read, 4096)

    def _relieve(self, serial: int) -> None:
        """Be at the helm until that run has ended."""
        if not self._helm.acquire(blocking=False):
            return  # it has ended: the main thread is there
        self._relieved = True
        try:
            while self._serial == serial:
                self._steer(self.turn)
        finally:
            self._relieved = False
            self._helm.release()

    # At the helm

    def _steer(self, turn: Callable[[], None]) -> None:
        try:
            turn()
        except _GONE as error:
            self._disconnect(error)

    def turn(self) -> None:
        """One turn of the loop. Raises what means that the connection is of no more use."""
        now = time.monotonic()
        if self._orders is None:
            self._spool(now)  # before anything else: a daemon that answers nothing may come and go
            if now >= self._dial_at:
                self._connect()
        self._watch()
        for descriptor, event in self._poll.poll(self._patience(time.monotonic())):
            if descriptor == self._wake_read:
                self._called = False
                self._hush()
            elif self._orders is not None and descriptor == self._orders.fileno():
                self._heed(self._orders.receive())
            elif self._reports is not None and descriptor == self._reports.fileno():
                if event & select.POLLOUT:
                    self.courier.flush()
                if event & ~select.POLLOUT and self.courier.receive():
                    self._backoff = self._settings.backoff_s
        self._work_off(time.monotonic())

    def _connect(self) -> None:
        settings = self._settings
        try:
            orders = Channel.dial(settings.socket, DIAL_S)
            try:
                reports = Channel.dial(settings.socket, DIAL_S)
            except OSError:
                orders.close()
                raise
        except OSError:
            self._retry_later()
            return
        self._orders, self._reports = orders, reports
        self._poll.register(orders, select.POLLIN)
        self._poll.register(reports, select.POLLIN)
        held = self.courier.held_run() or (None, 0)
        run, fence = next(((run.order.run, run.order.fence) for run in self._current()), held)
        parameters = AttachParameters(
            worker=settings.seat,
            cookie=settings.cookie,
            pid=os.getpid(),
            protocol=PROTOCOL_VERSION,
            run=run,
            fence=fence,
        )
        orders.send(call("Attach", parameters, more=True))
        self.courier.connect(reports)

    def _disconnect(self, why: Exception) -> None:
        if self._orders is None:
            return
        with suppress(*_GONE):
            while self.courier.receive():  # replies that nobody has read yet
                pass
        self._note(f"the daemon is gone: {why}")
        self.courier.disconnect()
        for channel in (self._orders, self._reports):
            if channel is not None:
                self._poll.unregister(channel)
                channel.close()
        self._orders = self._reports = None
        self._alone_since = time.monotonic()
        self._retry_later()

    def _retry_later(self) -> None:
        self._dial_at = time.monotonic() + self._backoff
        self._backoff = min(self._backoff * 2, self._settings.backoff_limit_s)

    def _watch(self) -> None:
        if self._reports is not None:
            wanted = select.POLLIN | (select.POLLOUT if self.courier.wants_write else 0)
            self._poll.modify(self._reports, wanted)

    def _heed(self, messages: list[bytes]) -> None:
        for message in messages:
            reply = decode_reply(message)
            fault = fault_of(reply)
            if fault in FENCED:
                for run in self._current():
                    self.courier.fence(run.order.run if fault == "StaleToken" else None, run.order.run)
                self._fenced(None)
                return
            if fault is not None:
                raise ConnectionError(f"Attach was answered with {fault}")
            self._backoff = self._settings.backoff_s
            self._obey(decode_order(reply.parameters))
            if not reply.continues:
                raise ConnectionError("the stream of orders has ended")

    def _obey(self, order: Order) -> None:
        if order.kind == "run" and order.run is not None:
            run = ActiveRun(order.run, self.courier, self._settings.attention_s)
            if not self._runs:
                self._beat_at = time.monotonic() + self._settings.beat_s
            self._runs[order.run.run] = run
            self._inbox.append(run)
        elif order.kind == "stop":
            run_meant = self._runs.get(order.target or "")
            if run_meant is not None:
                run_meant.ask_to_stop(order.reason or "cancelled", time.monotonic())
        elif order.kind == "retire":
            self._inbox.append(None)

    def _work_off(self, now: float) -> None:
        settings = self._settings
        runs = self._current()
        if runs and now >= self._beat_at:
            self._beat_at = now + settings.beat_s
            runs[0].beat()
        for run in runs:
            run.work_off(now)
        if self._abort_at is not None and now >= self._abort_at:
            os._exit(FENCED_EXIT)  # a job that cannot be cancelled and has no right to go on
        if self._orders is not None:
            if self.courier.oldest_wait(now) > settings.reply_s:
                raise ConnectionError("no reply")
            self._over = self._leaving and self.courier.settled
            return
        self._spool(now)
        forsaken = now >= self._alone_since + settings.idle_s and self.courier.spooled
        if self._leaving:
            self._over = forsaken or self.courier.settled
        elif forsaken and not runs:
            self._inbox.append(None)
            self._alone_since = now  # said once

    def _spool(self, now: float) -> None:
        if now >= self._spool_at:
            try:
                self.courier.spool()
            except OSError as error:
                self._note(f"cannot spool: {error}")
                self._spool_at = now + 1.0

    def _patience(self, now: float) -> float:
        """Milliseconds until something is due."""
        settings = self._settings
        due = [now + settings.reply_s]  # reports go out without this thread, and may get no reply
        runs = self._current()
        if runs:
            due.append(self._beat_at)
            due += [at for run in runs for at in run.due()]
        if self._abort_at is not None:
            due.append(self._abort_at)
        if self._orders is None:
            due += [self._dial_at, max(now, self._alone_since + settings.idle_s)]
            if not self.courier.spooled:
                due.append(self._spool_at)
        elif (waited := self.courier.oldest_wait(now)) > 0:
            due.append(now + settings.reply_s - waited + 0.01)
        return max(0.0, (min(due) - now) * 1000 + 0.5)

    def _current(self) -> list[ActiveRun]:
        return list(self._runs.values())

    def _stored(self, run: str, seq: int) -> None:
        if (active := self._runs.get(run)) is not None:
            active.stored(seq)

    def _refused(self, run: str, error: Exception) -> None:
        if (active := self._runs.get(run)) is not None:
            active.refuse(error)

    def _fenced(self, run: str | None) -> None:
        """The lease of a run is lost, or of all: end it, and then the process."""
        self.exit_code = FENCED_EXIT
        meant = [active for active in self._current() if run is None or active.order.run == run]
        for active in meant:
            active.fence()
        if meant:
            self._abort_at = time.monotonic() + self._settings.fenced_s
        self._inbox.append(None)

    def _note(self, text: str) -> None:
        """To the worker's own log: standard error may belong to a run at the moment."""
        with suppress(OSError):
            os.write(self._log, f"jobkeep.worker: {text}\n".encode(errors="replace"))

    def _drop(self) -> None:
        """In a child that a job forked: the connections are not its own."""
        for channel in (self._orders, self._reports):
            if channel is not None:
                channel.close()
