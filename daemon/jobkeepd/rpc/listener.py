"""Accepts connections, up to their caps, and lets pending replies out at the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import Final

import structlog

from jobkeepd.clock import Clock
from jobkeepd.rpc.address import Address
from jobkeepd.rpc.census import Census
from jobkeepd.rpc.connection import Connection
from jobkeepd.rpc.dispatch import Dispatch
from jobkeepd.rpc.peer import peer_of
from jobkeepd.rpc.settings import RpcSettings

log = structlog.get_logger()

_AT_ONCE: Final = 16  # accepted in one turn of the loop
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """Serves one socket on the running asyncio loop, from `start` to `close`."""

    def __init__(self, address: Address, dispatch: Dispatch, settings: RpcSettings, clock: Clock) -> None:
        self._address = address
        self._dispatch = dispatch
        self._settings = settings
        self.census = Census(settings, clock)
        self._backoff: asyncio.TimerHandle | None = None
        self._making: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._address.socket, self._accept)

    async def close(self) -> None:
        """Accept nobody more, remove the socket, answer what is under way, for a bounded time. Once is enough."""
        if self._address.socket.fileno() == -1:
            return
        if self._backoff is not None:
            self._backoff.cancel()
        self._loop.remove_reader(self._address.socket)
        self._address.unlink()
        self._address.socket.close()
        if self._making:
            await asyncio.wait(self._making)
        for guest in tuple(self.census.guests):
            guest.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.close_within):
                await self.census.emptied()
        for guest in tuple(self.census.guests):
            guest.drop("left_over")
        await self.census.emptied()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._address.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._admit(sock)

    def _pause(self, error: OSError) -> None:
        """Without file descriptors the socket stays readable: looking again at once would burn the CPU."""
        self.census.complain("accept_failed", error=error.strerror)
        if error.errno not in _EXHAUSTED:
            return
        self._loop.remove_reader(self._address.socket)
        self._backoff = self._loop.call_later(
            self._settings.accept_backoff, self._loop.add_reader, self._address.socket, self._accept
        )

    def _admit(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        peer = peer_of(sock)
        if not self.census.admits(peer, self._dispatch.permits(peer)):
            sock.close()
            return
        connection = Connection(self._dispatch, self._settings, self.census, peer, self._loop)
        self.census.add(connection)  # now, and not once it is made: the next in the queue must not slip in
        task = self._loop.create_task(self._connect(sock, connection))
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    async def _connect(self, sock: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            sock.close()
            self.census.remove(connection)
            self.census.complain("accept_failed", error=error.strerror)
