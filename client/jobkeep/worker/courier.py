"""Brings a worker's reports to the daemon. Keeps what has not arrived; without a daemon, on disk too."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from msgspec import Raw, Struct
from msgspec.structs import replace

from jobkeep.protocol.envelope import Reply
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.worker import (
    BeatParameters,
    CheckpointParameters,
    FailedKeysParameters,
    FinishParameters,
    ItemKey,
    ProgressParameters,
)
from jobkeep.worker.channel import Channel
from jobkeep.worker.outbox import Outbox
from jobkeep.worker.spool import Spool
from jobkeep.worker.wire import FENCED, RETRIABLE, call, decode_keys, decode_reply, fault_of, refusal

Answer = Callable[[list[ItemKey] | Exception], None]
_REFUSED = "InvalidRequest"
_UNREAD = 32  # replies
_UNREAD_S = 1.0


class Unwilling(ConnectionError):
    """The daemon cannot take reports now; it may later."""


class Listener(Struct, frozen=True):
    """Whom to tell. All are called from the thread at the helm."""

    durable: Callable[[str, int], None]  # run, seq
    refused: Callable[[str, Exception], None]  # run, why
    fenced: Callable[[str | None], None]  # run, or None: the whole process


class _Awaited(Struct):
    """A call whose reply has not come."""

    kind: Literal["checkpoint", "finish", "keys"]
    run: str
    seq: int
    sent_at: float
    answer: Answer | None = None


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
        self._awaited: deque[_Awaited] = deque()
        self._queries: list[tuple[FailedKeysParameters, Answer]] = []
        self._outbox = Outbox()
        self._to_spool: set[str] = set()  # runs with something that is not on disk yet

    # From any thread

    def checkpoint(self, parameters: CheckpointParameters) -> None:
        """Durable once the listener is told so."""
        with self._lock:
            self._outbox.add_checkpoint(parameters)
            self._send("Checkpoint", parameters, "checkpoint", parameters.run, parameters.seq)
        self._attend()

    def finish(self, parameters: FinishParameters) -> None:
        """The end of a run; nothing else may be reported about it afterwards."""
        with self._lock:
            self._outbox.add_finish(parameters)
            self._send("Finish", parameters, "finish", parameters.run, 0)

    def failed_keys(self, parameters: FailedKeysParameters, answer: Answer) -> None:
        """One page; `answer` is called by whoever is at the helm, after a reconnect if need be."""
        with self._lock:
            self._queries.append((parameters, answer))
            self._ask(parameters, answer)
        self._attend()

    def progress(self, parameters: ProgressParameters) -> None:
        """May get lost."""
        self._say("Progress", parameters)

    def beat(self, parameters: BeatParameters) -> None:
        """May get lost."""
        self._say("Beat", parameters)

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

    def unacknowledged(self) -> tuple[list[CheckpointParameters], list[FinishParameters]]:
        """What has not arrived, or nobody knows that it has."""
        with self._lock:
            return self._outbox.checkpoints(), self._outbox.finishes()

    def oldest_wait(self, now: float) -> float:
        """Since how long the oldest call has been waiting for its reply, in seconds."""
        return now - self._awaited[0].sent_at if self._awaited else 0.0

    def overdue(self, now: float) -> bool:
        """Replies to ends of runs may wait to be read, but not for ever."""
        awaited = self._awaited
        return len(awaited) >= _UNREAD or (bool(awaited) and now - awaited[0].sent_at >= _UNREAD_S)

    def held_run(self) -> tuple[str, int] | None:
        """Run and fence of the newest report that has not arrived."""
        with self._lock:
            run, held = self._outbox.last() or ("", None)
        if held is None:
            return None
        report = held.finish or held.checkpoints[-1]
        return run, report.fence

    def connect(self, channel: Channel) -> None:
        """Use this connection from now on, and say again on it what was not acknowledged."""
        with self._lock:
            self._channel = channel
            self._outbox.compact()
            for run, held in self._outbox:
                for checkpoint in held.checkpoints:
                    self._send("Checkpoint", checkpoint, "checkpoint", run, checkpoint.seq)
                if held.finish is not None:
                    self._send("Finish", held.finish, "finish", run, 0)
            for parameters, answer in self._queries:
                self._ask(parameters, answer)

    def disconnect(self) -> None:
        """The connection is gone; what was sent on it may have arrived or not."""
        with self._lock:
            self._channel = None
            self._awaited.clear()
            self._outbox.compact()
            self._to_spool.update(run for run, _ in self._outbox)

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
                checkpoint = self._outbox.newest(run)
                finish = next((held.finish for name, held in self._outbox if name == run), None)
            try:
                if checkpoint is not None:
                    self._spool.write(f"{run}.checkpoint", checkpoint)
                    self._tell.durable(run, checkpoint.seq)
                if finish is not None:
                    self._spool.write(f"{run}.finish", finish)
            except OSError:
                self._to_spool.add(run)
                raise

    def receive(self) -> bool:
        """Take the replies that came; whether one was a success. Raises ConnectionError, MessageTooLarge."""
        channel = self._channel
        if channel is None:
            return False
        succeeded = False
        for message in channel.receive():
            reply = decode_reply(message)
            with self._lock:
                if not self._awaited:
                    raise ConnectionError("a reply to nothing")
                awaited = self._awaited.popleft()
            fault = fault_of(reply)
            if fault is None:
                succeeded = True
                self._succeeded(awaited, reply)
            elif fault in FENCED:
                self.fence(awaited.run if fault == "StaleToken" else None, awaited.run)
            elif fault in RETRIABLE:
                raise Unwilling(fault)
            else:
                self._refused(awaited, refusal(fault, reply))
        return succeeded

    def fence(self, run: str | None, *runs: str) -> None:
        """Say nothing more about these runs. `run` is whose lease is lost; None: the process has no place."""
        with self._lock:
            for name in {run, *runs} - {None}:
                assert name is not None
                self._outbox.forget(name)
                self._to_spool.discard(name)
        if run is not None:
            self._spool.remove(f"{run}.checkpoint")
            self._spool.remove(f"{run}.finish")
        self._tell.fenced(run)

    def _succeeded(self, awaited: _Awaited, reply: Reply) -> None:
        run = awaited.run
        if awaited.kind == "keys":
            if awaited.answer is not None:
                self._answer(awaited.answer, decode_keys(reply.parameters).keys)
            return
        with self._lock:
            if awaited.kind == "finish":
                self._outbox.finish_stored(run)
            none_left = self._outbox.checkpoint_stored(run, awaited.seq)
        if none_left:
            self._spool.remove(f"{run}.checkpoint")
        if awaited.kind == "finish":
            self._spool.remove(f"{run}.finish")
        else:
            self._tell.durable(run, awaited.seq)

    def _refused(self, awaited: _Awaited, error: Exception) -> None:
        run = awaited.run
        if awaited.kind == "keys":
            if awaited.answer is not None:
                self._answer(awaited.answer, error)
        elif awaited.kind == "checkpoint":
            with self._lock:
                self._outbox.checkpoint_stored(run, awaited.seq)
            self._tell.refused(run, error)
        else:
            self._finish_otherwise(run, error)

    def _finish_otherwise(self, run: str, error: Exception) -> None:
        """The daemon does not take this end of the run: report that as its failure, once."""
        with self._lock:
            held = next((held.finish for name, held in self._outbox if name == run), None)
            self._outbox.finish_stored(run)
        if held is None or (held.error is not None and held.error.type == _REFUSED):
            return
        why = ErrorInfo(_REFUSED, str(error)[:1024])
        self.finish(replace(held, outcome="failed", result=Raw(b"null"), error=why, reason=None))

    def _answer(self, answer: Answer, value: list[ItemKey] | Exception) -> None:
        with self._lock:
            self._queries = [query for query in self._queries if query[1] is not answer]
        answer(value)

    # Under the lock

    def _send(self, method: str, parameters: Struct, kind: Literal["checkpoint", "finish"], run: str, seq: int) -> None:
        if self._channel is None:
            self._to_spool.add(run)
            self.wake()
            return
        self._awaited.append(_Awaited(kind, run, seq, time.monotonic()))
        if not self._channel.send(call(method, parameters)):
            self.wake()

    def _ask(self, parameters: FailedKeysParameters, answer: Answer) -> None:
        if self._channel is not None:
            self._awaited.append(_Awaited("keys", parameters.run, 0, time.monotonic(), answer))
            if not self._channel.send(call("FailedKeys", parameters)):
                self.wake()

    def _say(self, method: str, parameters: Struct) -> None:
        with self._lock:
            if self._channel is not None and not self._channel.send(call(method, parameters, oneway=True)):
                self.wake()
