"""Where the daemon listens: a socket in a private directory, ours alone, or one that systemd hands over."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import Final

from jobkeepd.errors import AlreadyRunning, BadConfig
from jobkeepd.instance import UnusableDirectory, open_private
from jobkeepd.rpc.peer import peer_of

PATH_LIMIT: Final = 107  # bytes of sun_path, without its NUL
_NOT_OURS: Final = 0o027  # write for the group, anything for others


class Address:
    """A listening socket; `unlink` removes its file if it is still this one."""

    def __init__(self, sock: socket.socket, path: str | None) -> None:
        self.socket = sock
        self._path = path
        self._identity = None if path is None else _identity(path)

    def open_to_group(self, open: bool) -> None:
        """Whether the group of its directory may connect: others do not get through that. What it may do then is
        decided for each caller.
        """
        if self._path is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if _identity(self._path) == self._identity:
                os.chmod(self._path, 0o666 if open else 0o600)

    def unlink(self) -> None:
        if self._path is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if _identity(self._path) == self._identity:
                os.unlink(self._path)

    def close(self) -> None:
        """Also after `unlink` and the socket's own `close`."""
        self.unlink()
        self.socket.close()


def bind(path: str, backlog: int) -> Address:
    """Raises BadConfig, AlreadyRunning when somebody answers there, OSError with the path as its filename."""
    size = len(os.fsencode(path))
    if size > PATH_LIMIT:
        raise BadConfig([f"socket: {path} has {size} bytes, a socket's path has at most {PATH_LIMIT}"])
    try:
        folder = open_private(Path(path).absolute().parent, _NOT_OURS)
    except UnusableDirectory as error:  # in which somebody else could put a socket of his own
        raise BadConfig([f"socket: {error}"]) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # till we listen: a socket on which nobody does yet would look stale
        _remove_stale(path)
        return _listen(path, backlog)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(folder)


def _listen(path: str, backlog: int) -> Address:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.bind(path)
        os.chmod(path, 0o600)  # nobody else gets here meanwhile: the directory is private, and nobody listens yet
        sock.listen(backlog)
        return Address(sock, path)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:  # somebody who does not heed our lock was faster
            raise AlreadyRunning(path, None) from None
        raise


def inherited(fd: int) -> Address:
    """A listening socket from systemd; its file is not ours to remove. Raises BadConfig."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise BadConfig([f"file descriptor {fd} is no socket: {error.strerror}"]) from None
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not listens:
        sock.detach()
        raise BadConfig([f"file descriptor {fd} is no listening Unix stream socket"])
    sock.setblocking(False)
    sock.set_inheritable(False)
    return Address(sock, None)


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise BadConfig([f"socket: {path} exists and is no socket"])
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except BlockingIOError:  # its backlog is full: it lives
            raise AlreadyRunning(path, None) from None
        raise AlreadyRunning(path, peer_of(probe).pid)


def _identity(path: str) -> tuple[int, int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns  # the number of an inode is soon used again
