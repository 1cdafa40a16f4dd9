"""One stream of a run on disk: its own file, and the parts that rotation has put beside it.

Nobody has to be asked, and nothing locked. A part counts from the rename that gives it its name on, and what it has is
given back in the stream's own file only afterwards. So at each moment, and after a kill at each moment, every byte is
where the names say that it is; at worst the room for it has not been given back yet, and the next look does it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from jobkeepd.core.rotation import Extent, Part, extent, gone, part_of
from jobkeepd.instance import sync_directory
from jobkeepd.runner.holes import punch

DRAFT: Final = "draft"
_GRAIN: Final = 64 << 10  # room is given back in multiples of it: no block of a file system is larger


class StreamLog:
    """Open for reading, or also for rotating it; by one at a time. `folder` is where its parts are, if it has any."""

    def __init__(self, fd: int, folder: str) -> None:
        self.fd = fd
        self._folder = folder

    @classmethod
    def open(cls, path: str, folder: str, *, rotate: bool = False) -> StreamLog | None:
        """None where nothing was written, or where what is there is no file of ours alone. Raises OSError."""
        access = os.O_RDWR if rotate else os.O_RDONLY
        try:
            fd = os.open(path, access | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        found = os.fstat(fd)
        # A job may have put something else there. What has another name, too, is not made smaller.
        if rotate and (not stat.S_ISREG(found.st_mode) or found.st_nlink > 1):
            os.close(fd)
            return None
        return cls(fd, folder)

    def close(self) -> None:
        os.close(self.fd)

    def extent(self) -> Extent:
        return extent(os.fstat(self.fd).st_size, self._found())

    def _found(self) -> list[Part]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return [part for name in names if (part := part_of(name)) is not None]

    # -- reading -------------------------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> tuple[int, bytes]:
        """(where it begins, up to `size` bytes): at `offset`, or later where that is gone. No bytes at the end."""
        while True:
            there = self.extent()
            offset = max(offset, there.first)
            part = next((part for part in there.parts if part.begin <= offset < part.end), None)
            if part is None:
                data = os.pread(self.fd, size, offset)
                # Room is given back only after a part has got its name: what has none by now was there.
                if self.extent().base <= offset:
                    return offset, data
            else:
                found = self._read_part(part, offset, size)
                if found:
                    return offset, found
                if found is not None:  # somebody has made it shorter than it was: what is missing is gone
                    offset = part.end

    def _read_part(self, part: Part, offset: int, size: int) -> bytes | None:
        """None where it was deleted just now."""
        try:
            fd = os.open(self._path(part), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            return os.pread(fd, min(size, part.end - offset), offset - part.begin)
        finally:
            os.close(fd)

    def _path(self, part: Part) -> str:
        return f"{self._folder}/{part.name}"

    # -- rotating ------------------------------------------------------------------------------------------------

    def move(self, part: Part) -> None:
        """The beginning of the own file becomes a part: copied, named, and only then given back. Raises OSError."""
        part = Part(part.begin, self._line_end(part.begin, part.end))
        self._make_folder()
        draft = f"{self._folder}/{DRAFT}"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _copy(self.fd, fd, part)
            os.fsync(fd)
            os.rename(draft, self._path(part))
        except OSError:
            _delete(draft)
            raise
        finally:
            os.close(fd)
        sync_directory(Path(self._folder))
        self.settle()

    def drop(self, to: int) -> None:
        """What is before `to` goes; of a part all of it, of the own file whole lines. Raises OSError."""
        there = self.extent()
        if to <= there.first:
            return
        if to > there.base:
            self._begin_at(self._line_end(there.base, min(to, there.size)))
        else:
            to = next(part.end for part in there.parts if part.end >= to)
            if to == there.base:
                self._begin_at(to)
            for part in there.parts:
                if part.size and part.end <= to:
                    _delete(self._path(part))
        self.settle()

    def _begin_at(self, offset: int) -> None:
        """From now on nothing that is older counts."""
        self._make_folder()
        os.close(os.open(self._path(Part(offset, offset)), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_directory(Path(self._folder))

    def settle(self) -> None:
        """Do what the names say: delete what counts no more, give back what is in parts. Again is as good as once."""
        there = self.extent()
        if there.size < there.base:  # its writer has emptied it, and has begun anew
            there = self._begin_anew(there.size)
        for part in gone(self._found(), there):
            _delete(self._path(part))
        _delete(f"{self._folder}/{DRAFT}")
        if end := there.base // _GRAIN * _GRAIN:
            punch(self.fd, end)
        if os.fstat(self.fd).st_nlink == 0:  # the job was removed meanwhile, and nobody comes for this any more
            discard(self._folder)

    def _begin_anew(self, size: int) -> Extent:
        """Its data begin where the hole ends."""
        try:
            begin = os.lseek(self.fd, 0, os.SEEK_DATA)
        except OSError:
            begin = size
        self._begin_at(begin)
        return Extent(size, (Part(begin, begin),))

    def _line_end(self, begin: int, end: int) -> int:
        """The end of the last whole line before `end`, if there is one nearby: parts are best read by lines."""
        near = max(begin, end - _GRAIN)
        newline = os.pread(self.fd, end - near, near).rfind(b"\n")
        return end if newline < 0 else near + newline + 1

    def _make_folder(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, 0o700)
            sync_directory(Path(self._folder).parent)


def folder_of(rotated: str, job: str, number: int, stream: str) -> str:
    """Where the parts of a stream are."""
    return f"{rotated}/{job}.{number}.{stream}"


def discard(folder: str) -> None:
    """The parts of a stream go. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _delete(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _copy(source: int, target: int, part: Part) -> None:
    offset = part.begin
    while offset < part.end:
        sent = os.sendfile(target, source, offset, part.end - offset)
        if not sent:
            raise OSError(errno.ENODATA, "its writer has made it shorter")
        offset += sent
