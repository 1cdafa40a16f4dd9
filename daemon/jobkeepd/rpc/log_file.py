"""Output of a run as it lies on disk: plain reads, nothing kept open between them."""

from __future__ import annotations

import os
from typing import Final

from jobkeep.protocol.vocabulary import Stream

CHUNK: Final = 64 << 10


class LogFile:
    """One stream of one run, read from `offset` on. A missing file is an empty one."""

    def __init__(self, folder: str, number: int, stream: Stream) -> None:
        self.stream = stream
        self.offset = 0
        self._path = f"{folder}/{number}.{stream}"

    def look(self) -> tuple[int, int]:
        """(bytes that are there and not read yet, when the last one came in nanoseconds)."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return 0, 0
        return max(0, found.st_size - self.offset), found.st_mtime_ns

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return b""
        try:
            data = os.pread(fd, size, self.offset)
        finally:
            os.close(fd)
        self.offset += len(data)
        return data

    def seek_lines(self, count: int) -> None:
        """Go to where the last `count` lines begin. The end of the file ends its last line."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            size = os.fstat(fd).st_size
            self.offset = size if count == 0 else _begin_of_lines(fd, size, count)
        finally:
            os.close(fd)


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
