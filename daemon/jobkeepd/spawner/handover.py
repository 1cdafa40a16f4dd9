"""How a shim hands its run over to its warden: one message, and with it the open files that belong to the run.

The message is three lines: numbers, the hello for daemons that come from now on, and what else a shim must know. The
warden looks at the first two only.
"""

from __future__ import annotations

import struct
from _socket import CMSG_LEN, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOL_SOCKET, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import record
else:
    import record

_FILES = 4  # the record, two logs, and the daemon's connection


class Handover:
    """As it was received. `daemon` is the connection that the shim had, if it had one."""

    def __init__(self, lines: list[bytes], files: list[int]) -> None:
        leader, logs = lines[0].split()
        self.leader = int(leader)
        self.hello = lines[1] + b"\n"
        self.rest = lines[2]
        self.record, *others = files
        self.logs = others[: int(logs)]
        self.daemon = socket(fileno=others[-1]) if len(others) > int(logs) else None


def send(
    to: socket, leader: int, hello: bytes, rest: dict[str, Any], record_file: int, logs: list[int], daemon: list[int]
) -> None:
    """Returns once it is taken, or the warden dead: then the sender dies with it in a moment."""
    message = b"%d %d\n%b%b" % (leader, len(logs), hello, record.encode(rest))
    files = [record_file, *logs, *daemon]
    try:
        to.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"{len(files)}i", *files))])
        to.recv(1)  # nothing: the warden hangs up
    except OSError:
        pass


def receive(source: socket) -> Handover | None:
    """Wait for it. None: the other end has gone without."""
    data, ancillary, _, _ = source.recvmsg(65536, CMSG_LEN(4 * _FILES), MSG_CMSG_CLOEXEC)
    if not data:
        return None
    packed = ancillary[0][2]
    return Handover(data.split(b"\n"), list(struct.unpack(f"{len(packed) // 4}i", packed)))
