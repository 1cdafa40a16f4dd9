"""Callers that have been accepted, and wait until there is time to make connections of them."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from functools import partial

from jobkeepd.core.model import Peer
from jobkeepd.rpc.loop_turns import GoOn, LoopTurns


class Lobby:
    """The kernel has one line for all of them; here the callers of each process have one of their own. Where there are
    too many in all, whose process has most has to go: the one that has been here for longest, as in the house itself.
    """

    def __init__(self, turns: LoopTurns, admit: Callable[[socket.socket, Peer], None]) -> None:
        self._turns = turns
        self._admit = admit
        self._of: dict[tuple[int, int], deque[tuple[socket.socket, Peer, GoOn]]] = {}  # by user and process
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def enter(self, sock: socket.socket, peer: Peer) -> None:
        process = peer.uid, peer.pid
        go_on = partial(self._next, process)
        self._of.setdefault(process, deque()).append((sock, peer, go_on))
        self._size += 1
        self._turns.wait(peer, go_on)

    def _next(self, process: tuple[int, int]) -> None:
        sock, peer, _ = self._take(process)
        self._admit(sock, peer)

    def _take(self, process: tuple[int, int]) -> tuple[socket.socket, Peer, GoOn]:
        line = self._of[process]
        found = line.popleft()
        self._size -= 1
        if not line:
            del self._of[process]
        return found

    def shorten(self) -> None:
        """By one."""
        self._leave(max(self._of, key=lambda process: len(self._of[process])))

    def close(self) -> None:
        while self._of:
            self._leave(next(iter(self._of)))

    def _leave(self, process: tuple[int, int]) -> None:
        sock, peer, go_on = self._take(process)
        self._turns.turns.leave(peer, go_on)
        sock.close()
