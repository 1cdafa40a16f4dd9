"""Who is at the other end of a Unix socket, from the kernel."""

from __future__ import annotations

import select
import socket
import struct

from jobkeepd.core.model import Peer

_UCRED = struct.Struct("3i")  # pid, uid, gid as of the time of connect


def peer_of(sock: socket.socket) -> Peer:
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    # uid_t is unsigned, and -1 is not the overflow uid but just as little anybody we know
    return Peer(uid=uid & 0xFFFFFFFF, gid=gid & 0xFFFFFFFF, pid=pid)


def hung_up(sock: socket.socket) -> bool:
    """Whether the other end is closed in both directions."""
    poll = select.poll()
    poll.register(sock.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
