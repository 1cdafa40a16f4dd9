"""Output of a run as it lies on disk: plain reads, nothing kept open between them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import anyio.lowlevel
import anyio.to_thread

from jobkeep.protocol.vocabulary import Stream

CHUNK: Final = 64 << 10


class LogFile:
    """One stream of one run, read from `offset` on. A missing file is an empty one.

    `where` tells its path of this moment: it is asked and the file is opened without an await in between, since the
    next run may write at that path a moment later.
    """

    def __init__(self, where: Callable[[], str], stream: Stream) -> None:
        self.stream = stream
        self.offset = 0
        self._where = where

    def look(self) -> tuple[int, int]:
        """(bytes that are there and not read yet, when the last one came in nanoseconds)."""
        try:
            found = os.stat(self._where())
        except FileNotFoundError:
            return 0, 0
        return max(0, found.st_size - self.offset), found.st_mtime_ns

    async def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end. More than a chunk is read in a thread."""
        fd = self._open()
        if fd is None:
            return b""
        try:
            if size > CHUNK:
                data = await anyio.to_thread.run_sync(os.pread, fd, size, self.offset)
            else:
                data = os.pread(fd, size, self.offset)
                await anyio.lowlevel.checkpoint()
        finally:
            os.close(fd)
        self.offset += len(data)
        return data

    async def seek_lines(self, count: int) -> None:
        """Go to where the last `count` lines begin. The end of the file ends its last line."""
        fd = self._open()
        if fd is None:
            return
        try:
            size = os.fstat(fd).st_size
            if count == 0:
                self.offset = size
            elif size > CHUNK:  # however many lines: a file without any is read to its beginning
                self.offset = await anyio.to_thread.run_sync(_begin_of_lines, fd, size, count)
            else:
                self.offset = _begin_of_lines(fd, size, count)
        finally:
            os.close(fd)

    def _open(self) -> int | None:
        try:
            return os.open(self._where(), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None


def _begin_of_lines(fd: int, size: int, count: int) -> int:
    """Backwards from the end, a block at a time: the memory it takes does not depend on the file."""
    end = size
    missing = count
    while end > 0:
        begin = max(0, end - CHUNK)
        block = os.pread(fd, end - begin, begin)
        if end == size and block.endswith(b"\n"):
            missing += 1  # the newline that ends the last line begins no other
        newlines = block.count(b"\n")
        if newlines >= missing:
            place = len(block)
            for _ in range(missing):
                place = block.rindex(b"\n", 0, place)
            return begin + place + 1
        missing -= newlines
        end = begin
    return 0
