"""Requests over plain connections: each call has one of its own while it lasts, from a pool."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import TypeVar

from jobkeep.client.finding import find
from jobkeep.client.following import Follower
from jobkeep.client.patience import BREAKS, RESTART_S, SILENCE_S, Patience, may_repeat
from jobkeep.client.plain import PlainConnection
from jobkeep.client.routes import Request
from jobkeep.errors import DaemonUnreachable, JobkeepError, NoRun

R = TypeVar("R")
T = TypeVar("T")

_SPARE = 16


class BlockingChannel:
    """The way to one daemon, for any number of threads. A forked child begins with connections of its own."""

    def __init__(
        self, socket: str | None, autostart: bool | None, *, restart_s: float = RESTART_S, silence_s: float = SILENCE_S
    ) -> None:
        self._restart_s = restart_s
        self._silence_s = silence_s
        self._path: str | None = find(socket, autostart)
        self._pid = os.getpid()
        self._spare: list[PlainConnection] = []  # append and pop are atomic

    @property
    def path(self) -> str:
        """The socket that is talked to. Raises DaemonUnreachable once closed."""
        if self._path is None:
            raise DaemonUnreachable("the socket", "this client is closed")
        return self._path

    def close(self) -> None:
        """Close what is idle; calls under way end as they would."""
        self._path = None
        self._forget()

    def ask(self, request: Request[R]) -> R:
        """One short call."""
        frame = request.frame()
        patience = None
        while True:
            try:
                return request.reply(self._exchange(frame, self._silence_s))
            except BREAKS as error:
                patience = patience or Patience(self._restart_s)
                self._bear(patience, error, None, request.route.safe)

    def ask_apart(self, build: Callable[[], Request[R]]) -> R:
        """One call that may take days; `build` is called again for each attempt, since time has passed."""
        patience = Patience(self._restart_s)
        while True:
            began = monotonic()
            request = build()
            try:
                return request.reply(self._exchange(request.frame(), None))
            except BREAKS as error:
                self._bear(patience, error, began, request.route.safe)

    def follow(self, follower: Follower[R, T], may_begin: Callable[[], bool] | None = None) -> Iterator[T]:
        """What a stream brings, until it ends; after a break it goes on where it was.

        `may_begin` says after NoRun whether to ask again.
        """
        patience = Patience(self._restart_s)
        while True:
            began = monotonic()
            try:
                yield from self._stream(follower)
                return
            except NoRun:
                if may_begin is None:
                    raise
                if not may_begin():
                    return
            except BREAKS as error:
                self._bear(patience, error, began)

    def _stream(self, follower: Follower[R, T]) -> Iterator[T]:
        request = follower.request()
        connection = self._borrow()
        try:
            connection.send(request.frame(more=True))
            more = True
            while more:
                part, more = request.part(connection.receive(None))
                if part is not None:
                    yield from follower.take(part)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        yield from follower.finish()

    def _exchange(self, frame: bytes, timeout: float | None) -> bytes:
        connection = self._borrow()
        try:
            connection.send(frame)
            message = connection.receive(timeout)
        except BaseException:  # KeyboardInterrupt, too: a reply is still to come
            connection.close()
            raise
        self._give_back(connection)
        return message

    def _bear(self, patience: Patience, error: JobkeepError, began: float | None, safe: bool = True) -> None:
        """Wait a little before the next attempt, or raise the error. `began`: from when on the connection was of use
        until now; one on which a short call was waiting in vain was of none.
        """
        if began is not None:
            patience.held_since(began)
        if self._path is None or not may_repeat(error, safe):
            raise error
        if patience.over():
            raise patience.told(error)
        sleep(patience.pause())

    def _borrow(self) -> PlainConnection:
        if self._pid != os.getpid():
            self._forget()
            self._pid = os.getpid()
        try:
            return self._spare.pop()
        except IndexError:
            return PlainConnection(self.path, self._silence_s)

    def _give_back(self, connection: PlainConnection) -> None:
        if self._path is None or len(self._spare) >= _SPARE:
            connection.close()
        else:
            self._spare.append(connection)

    def _forget(self) -> None:
        while self._spare:
            self._spare.pop().close()
