"""Accepts connections, up to their caps, and lets pending replies out at the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import Final

import structlog

from jobkeepd.clock import Clock
from jobkeepd.core.authz import Access
from jobkeepd.core.model import Peer
from jobkeepd.core.quota import Quota
from jobkeepd.rpc import frames
from jobkeepd.rpc.address import Address
from jobkeepd.rpc.census import Census
from jobkeepd.rpc.connection import Connection
from jobkeepd.rpc.dispatch import Dispatch
from jobkeepd.rpc.faults import limit_reached
from jobkeepd.rpc.lobby import Lobby
from jobkeepd.rpc.peer import groups_of, peer_of
from jobkeepd.rpc.settings import RpcSettings

log = structlog.get_logger()

_AT_ONCE: Final = 64  # accepted in one turn of the loop, which is quick: they need not be admitted in it
_LOBBY: Final = 64  # who may wait for that though there will be no room for them, unless others go
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """Serves one socket on the running asyncio loop, from `start` to `close`."""

    def __init__(
        self, address: Address, dispatch: Dispatch, settings: RpcSettings, clock: Clock, quota: Quota | None = None
    ) -> None:
        self._address = address
        self._dispatch = dispatch
        self._settings = settings
        self.census = Census(settings, clock, quota or Quota())
        self._backoff: asyncio.TimerHandle | None = None
        self._making: set[asyncio.Task[None]] = set()
        self._refused: set[socket.socket] = set()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._turns = self.census.turns(self._loop)
        self._lobby = Lobby(self._turns, self._admit)
        self._loop.add_reader(self._address.socket, self._accept)
        self._address.open_to_group(self._dispatch.access.admits_others)

    async def close(self) -> None:
        """Accept nobody more, remove the socket, answer what is under way, for a bounded time. Once is enough."""
        if self._address.socket.fileno() == -1:
            return
        if self._backoff is not None:
            self._backoff.cancel()
        self._loop.remove_reader(self._address.socket)
        self._address.unlink()
        self._address.socket.close()
        self._lobby.close()
        if self._making:
            await asyncio.wait(self._making)
        for sock in tuple(self._refused):
            self._forget(sock)
        for guest in tuple(self.census.guests):
            guest.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.close_within):
                await self.census.emptied()
        for guest in tuple(self.census.guests):
            guest.drop("left_over")
        await self.census.emptied()

    def admit(self, access: Access, quota: Quota) -> None:
        """From now on, and whoever is here already: these may do what it says, so much of it, and no others."""
        self._dispatch.access = access
        self.census.change(quota)
        self._address.open_to_group(access.admits_others)
        for guest in tuple(self.census.guests):
            guest.reconsider()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._address.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            sock.setblocking(False)
            peer = peer_of(sock)
            if self._turns.is_now(peer):
                self._admit(sock, peer)
                continue
            self._lobby.enter(sock, peer)
            if len(self._lobby) > _LOBBY and self.census.is_full(len(self._lobby)):
                self._lobby.shorten()

    def _pause(self, error: OSError) -> None:
        """Without file descriptors the socket stays readable: looking again at once would burn the CPU."""
        self.census.complain("accept_failed", error=error.strerror)
        if error.errno not in _EXHAUSTED:
            return
        self._loop.remove_reader(self._address.socket)
        self._backoff = self._loop.call_later(
            self._settings.accept_backoff, self._loop.add_reader, self._address.socket, self._accept
        )

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        began, groups = self._loop.time(), groups_of(sock)
        connection = Connection(self._dispatch, self._settings, self.census, peer, groups, self._loop)
        refused = self.census.admit(connection, connection.rights)  # now: the next in the queue must not slip in
        if refused is not None:
            self._refuse(sock, frames.fault(limit_reached(refused, 0.0)))
        else:
            self._make(sock, connection)
        self._turns.took(peer, self._loop.time() - began)

    def _make(self, sock: socket.socket, connection: Connection) -> None:
        task = self._loop.create_task(self._connect(sock, connection))
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    def _refuse(self, sock: socket.socket, said: bytes) -> None:
        """Who writes to a socket that is closed already may never read why: for some there is a moment to do both."""
        with contextlib.suppress(OSError):
            sock.send(said)
            sock.shutdown(socket.SHUT_WR)
        if len(self._refused) >= self._settings.refused_at_once:
            sock.close()
            return
        self._refused.add(sock)
        self._loop.call_later(self._settings.refused_for, self._forget, sock)

    def _forget(self, sock: socket.socket) -> None:
        self._refused.discard(sock)
        sock.close()

    async def _connect(self, sock: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            sock.close()
            self.census.remove(connection)
            self.census.complain("accept_failed", error=error.strerror)
