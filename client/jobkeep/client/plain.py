"""A blocking connection to the daemon that speaks frames. Standard library only, since fast commands use it."""

from __future__ import annotations

import _socket
import os
from time import monotonic, sleep

from jobkeep.errors import ConnectionLost, DaemonUnreachable
from jobkeep.paths import SOCKET_PATH_LIMIT, fits
from jobkeep.protocol.framing import FrameSplitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REPLY_LIMIT = 64 << 20  # bytes of one reply: a page of jobs holds all their arguments
CONNECT_S = 5.0  # how long a full backlog is waited for
_CHUNK = 1 << 16  # a larger buffer would be mapped and unmapped by malloc for each read


class PlainConnection:
    """One connection, one call at a time; `timeout` in seconds bounds connecting and each reply, None is for ever.

    Raises DaemonUnreachable when nothing answers, ConnectionLost when the connection ends before a reply.
    """

    __slots__ = ("_pid", "_ready", "_socket", "_splitter", "path", "timeout")

    def __init__(self, path: str, timeout: float | None = None) -> None:
        self.path: str = path
        self.timeout: float | None = timeout
        self._pid = os.getpid()
        self._ready: list[bytes] = []  # newest first
        self._splitter = FrameSplitter(REPLY_LIMIT)
        self._socket = _dialled(path, timeout)

    def call(self, method: str, parameters: bytes = b"{}") -> bytes:
        """One call and its reply, as the whole JSON text of the message."""
        return self.exchange(b'{"method":"%s","parameters":%s}\0' % (method.encode(), parameters))

    def stream(self, method: str, parameters: bytes = b"{}", idle: float | None = None) -> Iterator[bytes]:
        """The replies of a call with `more`, the last one included, however long each of them takes.

        With `idle` there is an empty object each time that nothing has come for so many seconds.
        """
        self.send(b'{"method":"%s","parameters":%s,"more":true}\0' % (method.encode(), parameters))
        while True:
            while idle is not None and not self._comes(idle):
                yield b"{}"
            message = self.receive(None)
            yield message
            if not _continues(message):
                return

    def exchange(self, frame: bytes) -> bytes:
        """Send one message, NUL included, and return the next reply."""
        self.send(frame)
        return self.receive(self.timeout)

    def send(self, frame: bytes) -> None:
        """Send one message, NUL included. A failure here means that it had no effect: half a message is none."""
        self._refuse_after_fork()
        try:
            self._socket.sendall(frame)
        except OSError as error:
            self.close()
            raise DaemonUnreachable(self.path, error.strerror or str(error)) from None

    def receive(self, timeout: float | None = None) -> bytes:
        """The next reply, within `timeout` seconds; after a time-out the connection is closed."""
        if self._ready:
            return self._ready.pop()
        self._refuse_after_fork()
        if self._socket.gettimeout() != timeout:
            self._socket.settimeout(timeout)
        deadline = None
        while True:
            self._ready = self._splitter.feed(self._read(timeout))
            if self._ready:
                self._ready.reverse()
                return self._ready.pop()
            if timeout is not None:  # only a reply in several pieces pays for the clock
                deadline = deadline or monotonic() + timeout
                self._socket.settimeout(max(0.001, deadline - monotonic()))

    def _comes(self, within: float) -> bool:
        if self._ready:
            return True
        from select import POLLIN, poll

        news = poll()
        news.register(self._socket, POLLIN)
        return bool(news.poll(within * 1000))

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._socket.close()

    def abort(self) -> None:
        """End it from another thread: whoever reads there gets ConnectionLost at once."""
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            return  # it is closed

    def _read(self, timeout: float | None) -> bytes:
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            raise self._lost(f"no answer within {timeout:g} s") from None
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from None
        if not data:
            raise self._lost("it closed the connection")
        return data

    def _lost(self, why: str) -> ConnectionLost:
        """Closed for good: a reply may still come, and must not answer the next call."""
        self.close()
        return ConnectionLost(self.path, why)

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._pid:  # parent and child would take each other's replies
            raise ConnectionLost(self.path, "the connection belongs to the process before fork")


def _continues(message: bytes) -> bool:
    if b'"continues"' not in message:
        return False
    from json import loads

    return bool(loads(message).get("continues"))


def _dialled(path: str, timeout: float | None) -> _socket.socket:
    check_path(path)
    deadline = monotonic() + (CONNECT_S if timeout is None else timeout)
    # Not blocking: the kernel would wait for room in the backlog of a daemon that hangs, and for ever.
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        while True:
            try:
                sock.connect(path)
                sock.settimeout(None)
                return sock
            except BlockingIOError:
                if monotonic() >= deadline:
                    raise
                sleep(0.005)
    except OSError as error:
        sock.close()
        raise unreachable(path, error) from None
    except BaseException:
        sock.close()
        raise


def check_path(path: str) -> None:
    """Raises DaemonUnreachable for a path that no socket can have."""
    if not fits(path):
        size = len(os.fsencode(path))
        raise DaemonUnreachable(
            path,
            f"the path has {size} bytes, a Unix socket's has at most {SOCKET_PATH_LIMIT}",
            "use a shorter one, or a symbolic link to its directory",
        )


def unreachable(path: str, error: OSError) -> DaemonUnreachable:
    """Why connecting failed, in words."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return DaemonUnreachable(path, "there is no such socket")
    if isinstance(error, ConnectionRefusedError):
        return DaemonUnreachable(path, "nobody listens there")
    if isinstance(error, PermissionError):
        return DaemonUnreachable(path, "permission denied", "ask its owner to let you in")
    if isinstance(error, BlockingIOError):
        return DaemonUnreachable(path, "it does not accept connections in time")
    return DaemonUnreachable(path, error.strerror or str(error))
