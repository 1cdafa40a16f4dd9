"""Who is at the other end of a Unix socket, from the kernel."""

from __future__ import annotations

import array
import ctypes
import errno
import select
import socket
import struct
from typing import Final

from jobkeepd.core.model import Peer

SO_PEERGROUPS: Final = 59
_FEW: Final = 256  # groups: as many as fit into what socket.getsockopt takes
_MOST: Final = 1 << 16  # NGROUPS_MAX
_UCRED = struct.Struct("3i")  # pid, uid, gid as of the time of connect


def peer_of(sock: socket.socket) -> Peer:
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    # uid_t is unsigned, and -1 is not the overflow uid but just as little anybody we know
    return Peer(uid=uid & 0xFFFFFFFF, gid=gid & 0xFFFFFFFF, pid=pid)


def groups_of(sock: socket.socket) -> tuple[int, ...]:
    """The supplementary groups of whoever connected, as of that moment.

    /proc/PID/status would tell of another process by now, or of another program with other groups; the user database
    may wait for a network. So without the kernel's own word there are none.
    """
    try:
        found = array.array("I", sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * _FEW))
    except OSError as error:
        return _many_groups_of(sock) if error.errno == errno.ERANGE else ()
    return tuple(found)


def _many_groups_of(sock: socket.socket) -> tuple[int, ...]:
    """Where there are more of them than Python takes."""
    found = (ctypes.c_uint * _MOST)()
    size = ctypes.c_uint(ctypes.sizeof(found))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(sock.fileno(), socket.SOL_SOCKET, SO_PEERGROUPS, found, ctypes.byref(size)):
        return ()
    return tuple(found[: size.value // ctypes.sizeof(ctypes.c_uint)])


def hung_up(sock: socket.socket) -> bool:
    """Whether the other end is closed in both directions."""
    poll = select.poll()
    poll.register(sock.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
