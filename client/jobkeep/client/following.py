"""Where a stream has got to, so that it goes on without gap or repetition over another connection. Sans-io."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Protocol, TypeVar

from msgspec import structs

from jobkeep.client import routes
from jobkeep.client.routes import Request
from jobkeep.protocol import jobs
from jobkeep.protocol.sizes import dropped
from jobkeep.protocol.vocabulary import Stream

R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)

LONGEST_LINE = 1 << 20  # bytes; a longer line is handed out in pieces


class Follower(Protocol[R, T_co]):
    """Asks for what is still to come, and picks what is new from the replies."""

    def request(self) -> Request[R]:
        """For what has not been seen."""

    def take(self, reply: R) -> Sequence[T_co]:
        """What is new in a reply."""

    def finish(self) -> Sequence[T_co]:
        """What is left when the stream has ended."""


class EventFollower:
    """Events by their seq."""

    def __init__(self, after: int | None, follow: bool, job: str | None = None) -> None:
        self._after = after
        self._follow = follow
        self._job = job

    def request(self) -> Request[jobs.EventReply]:
        return Request(routes.EVENTS, jobs.EventsParameters(self._after, self._job, self._follow))

    def take(self, reply: jobs.EventReply) -> Sequence[jobs.Event]:
        if self._after is not None and reply.event.seq <= self._after:
            return ()
        self._after = reply.event.seq
        return (reply.event,)

    def finish(self) -> Sequence[jobs.Event]:
        return ()


class LogFollower:
    """Output of one run by its offsets. The run is fixed by the first chunk, whatever runs come later."""

    def __init__(
        self, id: str, run: int | None, stream: Stream | None, lines: int | None, follow: bool
    ) -> None:
        self._id = id
        self._run = run
        self._stream = stream
        self._lines = lines
        self._follow = follow
        self._ends: dict[Stream, int] = {}  # the byte after the last one seen

    def request(self) -> Request[jobs.LogChunk]:
        """After a break a single stream goes on at its offset; both are asked for again, and `take` skips."""
        offset = self._ends.get(self._stream) if self._stream else None
        lines = None if self._ends else self._lines
        return Request(
            routes.LOGS,
            jobs.LogsParameters(self._id, self._run, self._stream, lines, offset, self._follow),
        )

    def take(self, reply: jobs.LogChunk) -> Sequence[jobs.LogChunk]:
        self._run = reply.run
        seen = self._ends.get(reply.stream, 0)
        end = reply.offset + len(reply.data)
        if end <= seen:
            return ()
        self._ends[reply.stream] = end
        if reply.dropped:  # all that was before, where both streams were asked for again
            return (structs.replace(reply, dropped=min(reply.dropped, reply.offset - seen)),)
        if reply.offset < seen:
            reply = jobs.LogChunk(reply.stream, reply.run, seen, reply.data[seen - reply.offset :])
        return (reply,)

    def finish(self) -> Sequence[jobs.LogChunk]:
        return ()


class LineFollower:
    """Output of one run as lines of text."""

    def __init__(self, chunks: LogFollower) -> None:
        self._chunks = chunks
        self._cutter = LineCutter()

    def request(self) -> Request[jobs.LogChunk]:
        return self._chunks.request()

    def take(self, reply: jobs.LogChunk) -> Sequence[str]:
        return [line for chunk in self._chunks.take(reply) for line in self._cutter.feed(chunk)]

    def finish(self) -> Sequence[str]:
        return self._cutter.flush()


class LineCutter:
    """Chunks as lines of text, the two streams apart. A line has no newline; what is not UTF-8 is replaced, and a line
    stands for what was dropped.
    """

    def __init__(self) -> None:
        self._rest: dict[Stream, bytes] = {}

    def feed(self, chunk: jobs.LogChunk) -> list[str]:
        """The lines that the chunk completes."""
        if chunk.dropped:
            rest = self._rest.pop(chunk.stream, b"")
            return [*([_text(rest)] if rest else []), dropped(chunk.dropped)]
        *lines, rest = (self._rest.get(chunk.stream, b"") + chunk.data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines.append(rest)
            rest = b""
        self._rest[chunk.stream] = rest
        return [_text(line) for line in lines]

    def flush(self) -> list[str]:
        """The last lines, when no newline ends them."""
        lines = [_text(rest) for rest in self._rest.values() if rest]
        self._rest.clear()
        return lines


def _text(line: bytes) -> str:
    return codecs.decode(line.removesuffix(b"\r"), "utf-8", "replace")
