"""Replies to what was sent, in the order of the calls: read at the helm, or by the job itself in passing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import MsgspecError

from jobkeep.errors import ProtocolError
from jobkeep.protocol.envelope import Reply
from jobkeep.worker.awaited import Awaited, Query
from jobkeep.worker.channel import Channel
from jobkeep.worker.wire import decode_reply

_UNREAD: Final = 32  # replies
_UNREAD_S: Final = 1.0
_TENDED_S: Final = 0.05  # since the job has looked
Pair = tuple[Awaited, Reply]


class Replies:
    """Calls whose replies have not come. Whoever receives them holds `reading` until they are dealt with.

    A job that sends checkpoint after checkpoint looks for replies each time: having the other thread do it means that
    both want the interpreter, which takes the job longer than the reply is worth. As long as it looks often, nobody at
    the helm listens. It takes good news alone; all else is left to the helm.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._awaited: deque[Awaited] = deque()
        self.reading = threading.Lock()
        self._left: deque[Reply] = deque()  # read by the job, for the helm
        self._trouble: Exception | None = None  # which the job had in reading
        self._looked_at: float | None = None

    def expect(self, awaited: Awaited) -> None:
        self._awaited.append(awaited)

    def forget(self) -> None:
        """The connection is gone."""
        with self.reading:
            self._awaited.clear()
            self._left.clear()
            self._trouble = None

    def oldest_wait(self, now: float) -> float:
        """Since how long the oldest call has been waiting for its reply, in seconds."""
        return now - self._awaited[0].sent_at if self._awaited else 0.0

    def overdue(self, now: float) -> bool:
        """Those to ends of runs may wait to be read, but not for ever."""
        awaited = self._awaited
        return len(awaited) >= _UNREAD or (bool(awaited) and now - awaited[0].sent_at >= _UNREAD_S)

    def tended_for(self, now: float) -> float:
        """For how many seconds the helm need not listen."""
        looked_at = self._looked_at
        return 0.0 if looked_at is None else max(0.0, looked_at + _TENDED_S - now)

    def untend(self) -> None:
        """The job is going to wait for a reply: it does not look any more."""
        if self._looked_at is not None:
            self._looked_at = None
            self._wake()

    @property
    def left(self) -> bool:
        """There is something for the helm, which it need not listen for."""
        return bool(self._left) or self._trouble is not None

    def receive(self, channel: Channel) -> list[Pair]:
        """At the helm: those that came. Raises ConnectionError, MessageTooLarge, MsgspecError."""
        if self._trouble is not None:
            raise self._trouble
        replies = [*self._left, *map(decode_reply, channel.receive())]
        self._left.clear()
        if len(replies) > len(self._awaited):
            raise ConnectionError("a reply to nothing")
        return [(self._awaited.popleft(), reply) for reply in replies]

    def look(self, channel: Channel | None, now: float) -> list[Pair]:
        """By the job: the good ones that came, which say that something is stored. Raises nothing."""
        found: list[Pair] = []
        self._looked_at = now
        try:
            if channel is not None and not self.left:
                self._left.extend(map(decode_reply, channel.receive()))
                while self._left and self._awaited and _is_good(self._awaited[0], self._left[0]):
                    found.append((self._awaited.popleft(), self._left.popleft()))
        except (OSError, ProtocolError, MsgspecError) as error:
            self._trouble = error
        if self.left:
            self._wake()
        return found


def _is_good(awaited: Awaited, reply: Reply) -> bool:
    return reply.error is None and not isinstance(awaited.what, Query)
