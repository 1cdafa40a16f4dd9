"""The journal for all who follow it: each entry is encoded once, and what they have in common is their bytes.

Nobody who follows has a task that wakes up for it. What was committed is told at once after a pause, and then as often
as it costs little: a busy daemon has many entries to tell by then, in one write for each reader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from msgspec import Struct

from jobkeep.protocol.jobs import EventReply
from jobkeepd.core.model import Entry
from jobkeepd.rpc.frames import continued
from jobkeepd.rpc.views import event_view
from jobkeepd.supervisor.feed import Feed, Subscription

TICK: Final = 0.02  # seconds between two times that something is told
PER_READER: Final = 0.001  # or so many for each that follows: a write takes some 15 µs
PIECE: Final = 64 << 10  # bytes of one write, and of what a reader may have unread before it gets more
KEPT: Final = 4 << 20  # bytes for those who are behind
PATIENCE: Final = 10.0  # seconds for a reader that takes nothing


class Pipe(Protocol):
    """The way to one reader."""

    def pour(self, frames: bytes) -> None: ...

    @property
    def unread(self) -> int:
        """Bytes that it was sent and has not taken."""


class Piece(Struct, frozen=True):
    """Some entries that follow each other, encoded; `ids` are their jobs."""

    first: int
    last: int
    frames: tuple[bytes, ...]
    ids: tuple[str | None, ...]
    joined: bytes


class Place:
    """One reader's. `at` is the seq up to which it has everything; `lost` is set when it has fallen too far behind."""

    def __init__(self, pipe: Pipe, at: int, job: str | None, now: float) -> None:
        self.pipe = pipe
        self.at = at
        self.job = job
        self.taken_at = now  # when it had room for more
        self.lost = asyncio.Event()

    def pour(self, piece: Piece) -> None:
        known = max(self.at - piece.first + 1, 0)
        if self.job is not None:
            some = zip(piece.frames[known:], piece.ids[known:], strict=True)
            data = b"".join(frame for frame, id in some if id == self.job) if self.job in piece.ids else b""
        else:
            data = b"".join(piece.frames[known:]) if known else piece.joined
        self.at = piece.last
        if data:
            self.pipe.pour(data)


class Broadcast:
    """Holds the newest entries as long as anybody follows."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._guests = 0
        self._subscription: Subscription | None = None
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self._cut = 0  # entries up to this seq are not here any more
        self._places: set[Place] = set()
        self._timer: asyncio.Handle | None = None
        self._told_at = 0.0

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Whoever is about to follow: from now on nothing is missed that is not in the store yet."""
        self._guests += 1
        if self._subscription is None:
            self._loop = asyncio.get_running_loop()
            self._subscription = self._feed.subscribe(self._notice, capacity=None)
        try:
            yield
        finally:
            self._guests -= 1
            if not self._guests:
                self._feed.unsubscribe(self._subscription)
                self._subscription = None
                self._pieces.clear()
                self._size = self._cut = 0
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    @contextmanager
    def followed(self, pipe: Pipe, at: int, job: str | None) -> Iterator[Place | None]:
        """Tell all behind `at`, until the end of the block; None if some of that is not here any more."""
        if at < self._cut:
            yield None
            return
        place = Place(pipe, at, job, self._loop.time())
        self._places.add(place)
        self._notice()
        try:
            yield place
        finally:
            self._places.discard(place)

    def _notice(self) -> None:
        if self._timer is None:
            pause = self._told_at + max(TICK, PER_READER * len(self._places)) - self._loop.time()
            self._timer = self._loop.call_soon(self._tell) if pause <= 0 else self._loop.call_later(pause, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._told_at = now = self._loop.time()
        assert self._subscription is not None
        self._encode(self._subscription.take())
        newest = self._pieces[-1].last if self._pieces else 0
        behind = False
        for place in list(self._places):
            self._fill(place, now)
            behind = behind or place.at < newest
        if behind:  # they may have room for more by then
            self._notice()
        while self._size > KEPT and len(self._pieces) > 1:
            gone = self._pieces.popleft()
            self._size -= len(gone.joined)
            self._cut = gone.last

    def _fill(self, place: Place, now: float) -> None:
        if place.at < self._cut or (self._has_news(place) and not self._pour(place, now)):
            self._places.discard(place)
            place.lost.set()

    def _has_news(self, place: Place) -> bool:
        return bool(self._pieces) and self._pieces[-1].last > place.at

    def _pour(self, place: Place, now: float) -> bool:
        """As much as it takes; False when it has taken nothing for too long."""
        if place.pipe.unread > PIECE:
            return now - place.taken_at < PATIENCE
        place.taken_at = now
        for piece in self._from(place.at):
            place.pour(piece)
            if place.pipe.unread > PIECE:
                break
        return True

    def _from(self, at: int) -> Sequence[Piece]:
        """The pieces that have something behind `at`."""
        count = 0
        for piece in reversed(self._pieces):
            if piece.last <= at:
                break
            count += 1
        return [self._pieces[index] for index in range(len(self._pieces) - count, len(self._pieces))]

    def _encode(self, entries: Sequence[Entry]) -> None:
        frames: list[bytes] = []
        size = start = 0
        for index, entry in enumerate(entries):
            frames.append(frame_of(entry))
            size += len(frames[-1])
            if size >= PIECE or index + 1 == len(entries):
                some = entries[start : index + 1]
                ids = tuple(entry.job for entry in some)
                self._pieces.append(Piece(some[0].seq, some[-1].seq, tuple(frames), ids, b"".join(frames)))
                self._size += size
                frames, size, start = [], 0, index + 1


def frame_of(entry: Entry) -> bytes:
    return continued(EventReply(event_view(entry)))
