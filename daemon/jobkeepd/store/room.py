"""Room on a disk, made sure of before it is needed.

SQLite maps the index of its log into memory, and writes one byte to each page of it to see that the disk has room.
Where blocks are smaller than pages, or are found only when they are written out, there may be none for the rest of a
page: then the kernel ends the process with SIGBUS. So the whole of it is reserved.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from jobkeepd.errors import StorageFull
from jobkeepd.store.trouble import NO_ROOM, is_failed_write, is_full

_INDEX: Final = 1 << 15  # bytes, for the first 4096 pages of a log
_PIECE: Final = 1 << 20
_CANNOT_RESERVE: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


def reserve(fd: int, size: int) -> None:
    """Have the disk give a file its blocks. Raises OSError."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise
        for offset in range(0, size, _PIECE):
            os.pwrite(fd, b"\xaa" * min(_PIECE, size - offset), offset)


def check_room(database: Path) -> None:
    """Before SQLite opens it, that there is room for its index. Raises StorageFull."""
    try:
        has = os.stat(f"{database}-shm").st_blocks * 512  # SQLite gives it up, and takes it again
    except OSError:
        has = 0
    if has >= _INDEX:
        return
    try:
        _try(database, _INDEX - has)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _full(database) from error


def is_out_of_room(error: Exception, database: Path) -> bool:
    """Whether it is for want of room that `error` came. Of a write that failed the disk is asked: a quota that is used
    up refuses another file, too; a disk that is broken does not say EDQUOT."""
    if not is_failed_write(error):
        return is_full(error)
    try:
        _try(database, _PIECE)
    except OSError as refusal:
        return refusal.errno == errno.EDQUOT
    return False


def _try(database: Path, size: int) -> None:
    """Whether so much more is to be had beside it. Raises OSError."""
    probe = f"{database}.room"
    with contextlib.ExitStack() as undo:
        fd = os.open(probe, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        undo.callback(os.unlink, probe)
        undo.callback(os.close, fd)
        reserve(fd, size)


def allot_index(database: Path) -> None:
    """Once SQLite has it open, before the log takes the room. On SQLite's own descriptor, since to close another one
    would drop its locks. Raises StorageFull.
    """
    index = os.path.realpath(f"{database}-shm")
    try:
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if os.readlink(f"/proc/self/fd/{name}") == index:
                    os.posix_fallocate(int(name), 0, max(_INDEX, os.fstat(int(name)).st_size))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _full(database) from error


def _full(database: Path) -> StorageFull:
    return StorageFull(f"{database} cannot be opened: no space left on its device")
