"""Brings a worker's reports to the daemon. Keeps what has not arrived; without a daemon, on disk too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.structs import replace

from jobkeep.protocol.envelope import Reply
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.worker import (
    BeatParameters,
    CheckpointParameters,
    FinishParameters,
    ProgressParameters,
    SaveStepParameters,
)
from jobkeep.worker.awaited import Awaited, Kind, Listener, Query
from jobkeep.worker.channel import Channel
from jobkeep.worker.outbox import Outbox, Report, Unsaid
from jobkeep.worker.replies import Replies
from jobkeep.worker.spool import Spool, step_file
from jobkeep.worker.wire import FENCED, RETRIABLE, call, decode_answer, fault_of, refusal

_METHODS: Final[dict[Kind, str]] = {"checkpoint": "Checkpoint", "step": "SaveStep", "finish": "Finish"}
_REFUSED = "InvalidRequest"


class Unwilling(ConnectionError):
    """The daemon cannot take reports now; it may later."""


class Courier:
    """Reports come from the main thread, replies and all else from whoever is at the helm; one lock for both.

    `wake` makes the one at the helm look again, and calls the link thread there while a job runs; `attend` only sees
    to it that somebody is there. Without a connection, `spool` is what makes a checkpoint durable.
    """

    def __init__(self, spool: Spool, listener: Listener, wake: Callable[[], None], attend: Callable[[], None]) -> None:
        self._spool = spool
        self._tell = listener
        self.wake = wake
        self._attend = attend
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self.replies = Replies(wake)
        self.untend = self.replies.untend
        self._queries: list[Query] = []
        self._outbox = Outbox()
        self._to_spool: set[str] = set()  # runs with something that is not on disk yet

    # From any thread

    def checkpoint(self, parameters: CheckpointParameters) -> None:
        """Durable once the listener is told so."""
        with self._lock:
            self._outbox.add_checkpoint(parameters)
            self._send("checkpoint", parameters, parameters.seq)
        self._attend()

    def step(self, parameters: SaveStepParameters) -> None:
        """Durable once the listener is told so."""
        with self._lock:
            self._outbox.add_step(parameters)
            self._send("step", parameters, parameters.ordinal)
        self._attend()

    def finish(self, parameters: FinishParameters) -> None:
        """The end of a run; nothing else may be reported about it afterwards."""
        with self._lock:
            self._outbox.add_finish(parameters)
            with suppress(OSError):
                if parameters.retire or not parameters.clean:  # a daemon ends us for that first, then stores it
                    list(self._write(parameters.run))
            self._send("finish", parameters)

    def say(self, unsaid: Unsaid) -> None:
        """What another interpreter has not brought to the daemon."""
        for step in unsaid.steps:
            self.step(step)
        for checkpoint in unsaid.checkpoints:
            self.checkpoint(checkpoint)
        for finish in unsaid.finishes:
            self.finish(finish)

    def ask(self, query: Query) -> None:
        """Answered after a reconnect, if need be."""
        with self._lock:
            self._queries.append(query)
            self._put(query)
        self._attend()

    def progress(self, parameters: ProgressParameters) -> None:
        """May get lost."""
        self._say("Progress", parameters)

    def beat(self, parameters: BeatParameters) -> None:
        """May get lost."""
        self._say("Beat", parameters)

    # From the main thread, while a job runs

    def look(self) -> None:
        """Take the good news that has come, unless the helm is at it."""
        if self.replies.reading.acquire(blocking=False):
            try:
                for awaited, reply in self.replies.look(self._channel, time.monotonic()):
                    self._succeeded(awaited, reply)
            finally:
                self.replies.reading.release()

    # From whoever is at the helm

    @property
    def wants_write(self) -> bool:
        return self._channel is not None and self._channel.wants_write

    @property
    def settled(self) -> bool:
        """All reports have arrived."""
        with self._lock:
            return not self._outbox

    @property
    def spooled(self) -> bool:
        """All reports have arrived or are on disk."""
        with self._lock:
            return not (self._to_spool or (self._outbox and self._channel is not None))

    def unsaid(self) -> Unsaid:
        """What has not arrived, or nobody knows that it has."""
        with self._lock:
            return self._outbox.unsaid()

    def held_run(self) -> tuple[str, int] | None:
        """Run and fence of the newest report that has not arrived."""
        with self._lock:
            last = self._outbox.last()
            return None if last is None else (last[0], last[1].fence)

    def connect(self, channel: Channel) -> None:
        """Use this connection from now on, and say again on it what was not acknowledged."""
        with self._lock:
            self._channel = channel
            self._outbox.compact()
            for _, held in self._outbox:
                for step in held.steps:
                    self._send("step", step, step.ordinal)
                for checkpoint in held.checkpoints:
                    self._send("checkpoint", checkpoint, checkpoint.seq)
                if held.finish is not None:
                    self._send("finish", held.finish)
            for query in self._queries:
                self._put(query)

    def disconnect(self) -> None:
        """The connection is gone; what was sent on it may have arrived or not."""
        with self._lock:
            self._channel = None
            self._outbox.compact()
            self._to_spool.update(run for run, _ in self._outbox)
        self.replies.forget()

    def flush(self) -> None:
        """Send what the socket did not take at once."""
        with self._lock:
            if self._channel is not None:
                self._channel.flush()

    def spool(self) -> None:
        """Put on disk what must be there while there is no daemon. Raises OSError; then call again later."""
        while True:
            with self._lock:
                if self._channel is not None or not self._to_spool:
                    return
                run = self._to_spool.pop()
                writing = self._write(run)
            try:
                for kind, number in writing:
                    self._tell.durable(run, kind, number)
            except OSError:
                self._to_spool.add(run)
                raise

    def _write(self, run: str) -> Iterator[tuple[Kind, int]]:
        """Put on disk what of a run is not acknowledged as of now, piece by piece; what is durable then."""
        held = self._outbox.of(run)
        return self._spool.write_run(run, tuple(held.steps), self._outbox.newest(run), held.finish)

    def receive(self) -> bool:
        """Take the replies that came; whether one was a success. Raises ConnectionError, MessageTooLarge."""
        channel = self._channel
        if channel is None:
            return False
        with self.replies.reading:
            return any([self._take(awaited, reply) for awaited, reply in self.replies.receive(channel)])

    def _take(self, awaited: Awaited, reply: Reply) -> bool:
        """Whether it is a success. Raises Unwilling."""
        fault = fault_of(reply)
        if fault is None:
            self._succeeded(awaited, reply)
        elif fault in FENCED:
            self.fence(awaited.run if fault == "StaleToken" else None, awaited.run)
        elif fault in RETRIABLE:
            raise Unwilling(fault)
        else:
            self._refused(awaited, refusal(fault, reply))
        return fault is None

    def fence(self, run: str | None, *runs: str) -> None:
        """Say nothing more about these runs. `run` is whose lease is lost; None: the process has no place."""
        with self._lock:
            for name in {run, *runs} - {None}:
                assert name is not None
                self._outbox.forget(name)
                self._to_spool.discard(name)
        if run is not None:
            self._spool.remove_all(run)
        self._tell.fenced(run)

    def _succeeded(self, awaited: Awaited, reply: Reply) -> None:
        run, what = awaited.run, awaited.what
        if isinstance(what, Query):
            self._answer(what, decode_answer(what.method, reply))
            return
        if what == "step":
            with self._lock:
                self._outbox.step_stored(run, awaited.number)
            self._spool.remove(step_file(run, awaited.number))
            self._tell.durable(run, what, awaited.number)
            return
        with self._lock:
            if what == "finish":
                self._outbox.finish_stored(run)
            none_left = self._outbox.checkpoint_stored(run, awaited.number)
        if none_left:
            self._spool.remove(f"{run}.checkpoint")
        if what == "finish":
            self._spool.remove(f"{run}.finish")
        else:
            self._tell.durable(run, what, awaited.number)

    def _refused(self, awaited: Awaited, error: Exception) -> None:
        run, what = awaited.run, awaited.what
        if isinstance(what, Query):
            self._answer(what, error)
        elif what == "finish":
            self._finish_otherwise(run, error)
        else:
            with self._lock:
                if what == "step":
                    self._outbox.step_stored(run, awaited.number)
                else:
                    self._outbox.checkpoint_stored(run, awaited.number)
            self._tell.refused(run, error)

    def _finish_otherwise(self, run: str, error: Exception) -> None:
        """The daemon does not take this end of the run: report that as its failure, once."""
        with self._lock:
            held = self._outbox.of(run).finish
            self._outbox.finish_stored(run)
        if held is None or (held.error is not None and held.error.type == _REFUSED):
            return
        why = ErrorInfo(_REFUSED, str(error)[:1024])
        self.finish(replace(held, outcome="failed", result=Raw(b"null"), error=why, reason=None))

    def _answer(self, query: Query, value: Any) -> None:
        with self._lock:
            self._queries.remove(query)
        query.answer(value)

    # Under the lock

    def _send(self, kind: Kind, report: Report, number: int = 0) -> None:
        if self._channel is None:
            self._to_spool.add(report.run)
            self.wake()
            return
        self.replies.expect(Awaited(kind, report.run, number, time.monotonic()))
        if not self._channel.send(call(_METHODS[kind], report)):
            self.wake()

    def _put(self, query: Query) -> None:
        if self._channel is not None:
            self.replies.expect(Awaited(query, query.run, 0, time.monotonic()))
            if not self._channel.send(call(query.method, query.parameters)):
                self.wake()

    def _say(self, method: str, parameters: Struct) -> None:
        with self._lock:
            if self._channel is not None and not self._channel.send(call(method, parameters, oneway=True)):
                self.wake()
