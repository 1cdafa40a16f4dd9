"""Forks slots for the spawner, and else does nothing.

A fork shares its parent's memory until one of both writes to it: so a process has for its own what it writes, and also
what its parent writes later. The spawner writes with every word that it says. This fork of it sleeps from one slot to
the next.

A slot has to be the spawner's child. So the zygote forks a process that forks the slot and ends, and the orphan goes to
the spawner, which is the nearest subreaper.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import struct
import sys
from _socket import AF_UNIX, CMSG_LEN, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket, socketpair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jobkeepd.spawner import warden
else:
    import warden

_MOST_FILES = 3  # the slot's listening socket, the pipe for the answer, and the way into its control group, if any
_PATIENCE, _LAST_PATIENCE = 5000, 500  # ms; a fork takes two


class Zygote:
    """The spawner's end of it. There is none before the first `start` or `fork`."""

    def __init__(self, runtime: str, boot_id: str, let_go: Callable[[], None]) -> None:
        self._runtime = runtime
        self._boot_id = boot_id
        self._let_go = let_go  # closes in a fork what is the spawner's alone
        self.pid = 0
        self._orders: socket | None = None

    def start(self) -> socket:
        """One that lives, as far as is known."""
        if self._orders is not None:
            return self._orders
        ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            status = 1
            try:
                os.close(signal.set_wakeup_fd(-1))  # the spawner's
                self._let_go()
                _serve(theirs, self._runtime, self._boot_id)
                status = 0
            finally:
                _end(status)
        theirs.close()
        self.pid, self._orders = pid, ours
        return ours

    def reaped(self) -> None:
        """The spawner has collected it."""
        self.pid = 0
        if self._orders is not None:
            self._orders.close()
            self._orders = None

    def fork(self, slot: str, listener: socket, groups: tuple[int, ...]) -> tuple[int, int] | None:
        """The pids of warden and shim of a new slot, which has `listener`. Raises OSError.

        None: one of them was killed, or the zygote, and there is no slot. TimeoutError: one of them is stopped, and
        there may be one some day that nobody knows.
        """
        answer = self._ask(slot, listener, groups)
        if not answer:
            self._put_down()
            return None
        warden, *shim = map(int, answer.split())
        if not shim:
            raise OSError(-warden, os.strerror(-warden))
        return warden, shim[0]

    def _ask(self, slot: str, listener: socket, groups: tuple[int, ...]) -> bytes:
        """The pids, or -errno; nothing once nobody is left who could answer."""
        orders = self.start()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            files = (listener.fileno(), writer, *groups)
            orders.sendmsg([slot.encode()], [(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"{len(files)}i", *files))])
        except BrokenPipeError:
            os.close(reader)
            return b""
        finally:
            os.close(writer)
        try:
            poll = select.poll()
            poll.register(reader, select.POLLIN)
            if not poll.poll(_PATIENCE):
                os.kill(self.pid, signal.SIGKILL)  # somebody has stopped it; what it has forked may answer yet
                if not poll.poll(_LAST_PATIENCE):
                    raise TimeoutError(errno.ETIMEDOUT, "a process that is to become it has been stopped")
            return os.read(reader, 32)
        finally:
            os.close(reader)

    def _put_down(self) -> None:
        assert self.pid, "there is none"  # 0 would be our own group
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.reaped()


def _serve(orders: socket, runtime: str, boot_id: str) -> None:
    """Until the spawner is gone."""
    while True:
        slot, ancillary, _, _ = orders.recvmsg(256, CMSG_LEN(4 * _MOST_FILES), MSG_CMSG_CLOEXEC)
        if not slot:
            return
        packed = ancillary[0][2]
        listener, answer, *groups = struct.unpack(f"{len(packed) // 4}i", packed)
        pid = _fork(answer)
        if pid == 0:
            if _fork(answer) != 0:
                os._exit(0)
            status = 1
            try:
                orders.close()
                status = warden.run(runtime, boot_id, slot.decode(), listener, answer, tuple(groups))
            finally:
                _end(status)
        for fd in (answer, listener, *groups):
            os.close(fd)
        if pid > 0:
            os.waitpid(pid, 0)


def _fork(answer: int) -> int:
    """As fork, or -1 if that has failed, and is told."""
    try:
        return os.fork()
    except OSError as error:
        warden.reply(answer, b"-%d" % (error.errno or 0))
        return -1


def _end(status: int) -> None:
    """Of a fork: it must not come back to where it was forked."""
    if status and sys.exc_info()[0] is not None:
        sys.excepthook(*sys.exc_info())
    os._exit(status)
