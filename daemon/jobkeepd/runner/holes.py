"""Gives the room of what is in a file back, and leaves all offsets: a hole is punched into it (fallocate(2))."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any, Final

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_PROBE: Final = 64 << 10  # bytes
_CANNOT: Final = (errno.EOPNOTSUPP, errno.ENOSYS)


def punch(fd: int, end: int) -> None:
    """What is before `end` takes no room from now on, and reads as zeros. Raises OSError."""
    call = _fallocate()
    if call is None:
        raise OSError(errno.EOPNOTSUPP, "this system cannot punch holes into files")
    if call(fd, _PUNCH_HOLE | _KEEP_SIZE, 0, end):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def can_punch(folder: str) -> bool:
    """Whether the file system there can do it: it is tried, on a file that is made for it. Raises OSError."""
    fd = os.open(f"{folder}/probe", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(fd, bytes(_PROBE), 0)
        punch(fd, _PROBE)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    finally:
        os.close(fd)
        os.unlink(f"{folder}/probe")
    return True


def _fallocate() -> Any:
    """The C library's; None where it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return found
