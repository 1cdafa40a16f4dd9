"""Output of a run as it lies on disk: plain reads, nothing kept open between them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import anyio.lowlevel
import anyio.to_thread

from jobkeep.protocol.vocabulary import Stream
from jobkeepd.runner.stream_log import StreamLog

CHUNK: Final = 64 << 10


class LogFile:
    """One stream of one run, read from `offset` on. A missing file is an empty one.

    `open` opens what is there at this moment, without an await before: the next run may write there a moment later.
    """

    def __init__(self, open: Callable[[], StreamLog | None], stream: Stream) -> None:
        self.stream = stream
        self.offset = 0
        self._open = open

    def look(self) -> tuple[int, int]:
        """(bytes that were written and not read yet, when the last one came in nanoseconds)."""
        log = self._open()
        if log is None:
            return 0, 0
        found = os.fstat(log.fd)
        log.close()
        return max(0, found.st_size - self.offset), found.st_mtime_ns

    async def read(self, size: int) -> tuple[int, bytes]:
        """(how many bytes were gone, the next at most `size` of those that are left); none at the end.

        More than a chunk is read in a thread.
        """
        log = self._open()
        if log is None:
            return 0, b""
        try:
            if size > CHUNK:
                begin, data = await anyio.to_thread.run_sync(log.read, self.offset, size)
            else:
                begin, data = log.read(self.offset, size)
                await anyio.lowlevel.checkpoint()
        finally:
            log.close()
        gone, self.offset = begin - self.offset, begin + len(data)
        return gone, data

    async def seek_lines(self, count: int) -> None:
        """Go to where the last `count` lines begin. The end of the file ends its last line."""
        log = self._open()
        if log is None:
            return
        try:
            size = log.extent().size
            if count == 0:
                self.offset = size
            elif size > CHUNK:  # however many lines: a file without any is read to its beginning
                self.offset = await anyio.to_thread.run_sync(_begin_of_lines, log, size, count)
            else:
                self.offset = _begin_of_lines(log, size, count)
        finally:
            log.close()


def _begin_of_lines(log: StreamLog, size: int, count: int) -> int:
    """Backwards from the end, a block at a time: the memory it takes does not depend on the file.

    0 where there are fewer, also if that is because the others are gone: then that is to be told.
    """
    end = size
    missing = count
    while end > 0:
        begin, block = _block(log, max(0, end - CHUNK), end)
        if end == size and block.endswith(b"\n"):
            missing += 1  # the newline that ends the last line begins no other
        newlines = block.count(b"\n")
        if newlines >= missing:
            place = len(block)
            for _ in range(missing):
                place = block.rindex(b"\n", 0, place)
            return begin + place + 1
        missing -= newlines
        if begin > max(0, end - CHUNK):
            return begin if missing == 1 else 0  # what is left begins with a line
        end = begin
    return 0


def _block(log: StreamLog, begin: int, end: int) -> tuple[int, bytes]:
    """(where it begins, all up to `end`): at `begin`, or later where that is gone."""
    place, block = begin, b""
    while place < end:
        at, more = log.read(place, end - place)
        if at > place:
            begin, block = min(at, end), b""
        more = more[: max(end - at, 0)]
        if not more:
            break
        block += more
        place = at + len(more)
    return begin, block
