"""How children have ended, looked at before they are collected.

So an end is on record before the process is gone: whoever takes over from a killed slot finds the record, or the dead
child itself. Only the bare system call tells both the status and the usage of a child that stays.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Usage = tuple[float, float, int]  # seconds in user and in system mode, maximal KiB

_NUMBERS = {"x86_64": 247, "aarch64": 95, "riscv64": 95, "loongarch64": 95, "ppc64le": 272, "s390x": 281}
_number = _NUMBERS.get(os.uname().machine) if ctypes.sizeof(ctypes.c_void_p) == 8 else None
_call = ctypes.CDLL(None, use_errno=True).syscall
_call.argtypes = (
    ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p,
)  # fmt: skip
_FLAGS = os.WEXITED | os.WNOHANG | os.WNOWAIT
_CODE, _PID, _USAGE = struct.Struct("i"), struct.Struct("iIi"), struct.Struct("qqqqq")  # of siginfo_t and rusage
_AT_CODE, _AT_PID = 8, 16
_child = ctypes.create_string_buffer(128)
_used = ctypes.create_string_buffer(144)


def children() -> Iterator[tuple[int, int, Usage]]:
    """Pid, raw wait status and usage of each child that has ended; it is collected when the next one is asked for.

    Raises ChildProcessError once there is no child at all. On a machine whose call we do not know a child is collected
    at once.
    """
    if _number is None:
        while (ended := os.wait4(-1, os.WNOHANG))[0]:
            yield ended[0], ended[1], (ended[2].ru_utime, ended[2].ru_stime, ended[2].ru_maxrss)
        return
    while _call(_number, os.P_ALL, 0, _child, _FLAGS, _used) == 0:
        pid, _, number = _PID.unpack_from(_child, _AT_PID)
        if pid == 0:
            return
        (code,) = _CODE.unpack_from(_child, _AT_CODE)
        user, user_us, system, system_us, rss = _USAGE.unpack_from(_used)
        status = number << 8 if code == os.CLD_EXITED else number | (0x80 if code == os.CLD_DUMPED else 0)
        yield pid, status, (user + user_us / 1e6, system + system_us / 1e6, rss)
        try:  # noqa: SIM105  contextlib is not worth its pages in every slot
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # libc has: it could not exec
    if ctypes.get_errno() == errno.ECHILD:
        raise ChildProcessError
