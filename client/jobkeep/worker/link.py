"""The thread that talks to the daemon: orders come on one connection, replies to reports on another."""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
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
FENCED_EXIT: Final = 3
_GONE = (OSError, ProtocolError, msgspec.MsgspecError)


class Link:
    """`inbox` brings runs to the main thread, and None when the process is to end with `exit_code`."""

    def __init__(self, settings: Settings) -> None:
        self.inbox: SimpleQueue[ActiveRun | None] = SimpleQueue()
        self.exit_code = 0
        self._settings = settings
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        listener = Listener(durable=self._stored, refused=self._refused, fenced=self._fenced)
        self.courier = Courier(Spool(settings.spool), listener, self.wake)
        self._orders: Channel | None = None
        self._reports: Channel | None = None
        self._log = os.dup(2)
        self._poll = select.poll()
        self._poll.register(self._wake_read, select.POLLIN)
        self._runs: dict[str, ActiveRun] = {}
        self._thread = threading.Thread(target=self._serve, name="jobkeep link", daemon=True)
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

    def wake(self) -> None:
        """Make the thread look at what has changed."""
        with suppress(BlockingIOError):  # it is awake already
            os.write(self._wake_write, b"w")

    def ended(self, run: ActiveRun) -> None:
        """The job's function has returned."""
        run.leave()
        self._runs.pop(run.order.run, None)

    def leave(self) -> None:
        """Return once all reports have arrived, or are on disk and the daemon has been away for long."""
        self._leaving = True
        self.wake()
        self._thread.join()

    # Its own thread

    def _serve(self) -> None:
        while not self._over:
            try:
                self.turn()
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
                with suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            elif self._orders is not None and descriptor == self._orders.fileno():
                self._take_orders(self._orders)
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

    def _take_orders(self, orders: Channel) -> None:
        for message in orders.receive():
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
            self.inbox.put(run)
        elif order.kind == "stop":
            run_meant = self._runs.get(order.target or "")
            if run_meant is not None:
                run_meant.ask_to_stop(order.reason or "cancelled", time.monotonic())
        elif order.kind == "retire":
            self.inbox.put(None)

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
            self.inbox.put(None)
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
        self.inbox.put(None)

    def _note(self, text: str) -> None:
        """To the worker's own log: standard error may belong to a run at the moment."""
        with suppress(OSError):
            os.write(self._log, f"jobkeep.worker: {text}\n".encode(errors="replace"))

    def _drop(self) -> None:
        """In a child that a job forked: the connections are not its own."""
        for channel in (self._orders, self._reports):
            if channel is not None:
                channel.close()
