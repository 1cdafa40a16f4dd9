"""The port between the client and the event loop it runs on, and how both implementations connect."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from jobkeep.client.plain import check_path, unreachable

T = TypeVar("T")


class Link(Protocol):
    """One connection. Calls may overlap: their replies come in the order of the calls.

    A call that is cancelled leaves the connection usable; its reply is swallowed in its turn. All raise
    ConnectionLost when the connection ends first.
    """

    @property
    def closed(self) -> bool: ...

    def call(self, frame: bytes) -> Awaitable[bytes]:
        """Send one message, NUL included; the result is the next reply that no earlier call waits for."""

    def next_reply(self) -> Awaitable[bytes]:
        """A further reply to the last call, where that was one with `more`."""

    def close(self) -> None:
        """Close it at once; who waits gets ConnectionLost."""


class Network(Protocol):
    """What the client needs of an event loop."""

    async def dial(self, path: str, silence_s: float | None) -> Link:
        """Connect. A link whose calls get no reply at all for `silence_s` seconds is lost; None waits for ever.

        Raises DaemonUnreachable.
        """

    async def sleep(self, seconds: float) -> None: ...

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run something that blocks."""

    def from_thread(self, function: Callable[[], None]) -> Callable[[], None]:
        """What any thread may call to have `function` called in this loop; once that has ended it does nothing."""


CONNECT_TRIES = 1000  # of 5 ms: a full backlog


def try_connect(path: str) -> socket.socket | None:
    """A connected, non-blocking socket; None while the daemon's backlog is full. Raises DaemonUnreachable."""
    check_path(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)  # at once, or never: Unix sockets know no handshake
    except BlockingIOError:
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise unreachable(path, error) from None
    return sock


async def connect(path: str, sleep: Callable[[float], Awaitable[None]]) -> socket.socket:
    """As `try_connect`, but a full backlog is waited for, 5 s at most."""
    for _ in range(CONNECT_TRIES):
        sock = try_connect(path)
        if sock is not None:
            return sock
        await sleep(0.005)
    raise unreachable(path, BlockingIOError())
