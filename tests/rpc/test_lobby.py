"""Callers that wait to be made connections of: each process has a line of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import pytest

from jobkeepd.core.model import Peer
from jobkeepd.rpc.lobby import Lobby
from jobkeepd.rpc.loop_turns import LoopTurns
from rpc.conftest import Serve, until

pytestmark = pytest.mark.anyio


def peer(pid: int) -> Peer:
    return Peer(1000, 1000, pid)


async def test_callers_of_another_process_do_not_wait_for_hundreds_of_one() -> None:
    """One of each has its turn; they come in their order."""
    turns = LoopTurns(asyncio.get_running_loop(), 0.0)
    admitted: list[tuple[int, socket.socket]] = []

    def admit(sock: socket.socket, who: Peer) -> None:
        admitted.append((who.pid, sock))
        turns.took(who, 0.001)

    lobby = Lobby(turns, admit)
    sockets = [socket.socket(socket.AF_UNIX) for _ in range(102)]
    for sock in sockets[:100]:
        lobby.enter(sock, peer(1))
    for sock in sockets[100:]:
        lobby.enter(sock, peer(2))
    await until(lambda: not len(lobby))

    assert [pid for pid, _ in admitted[:4]] == [1, 2, 1, 2]
    assert [sock for pid, sock in admitted if pid == 1] == sockets[:100]
    for sock in sockets:
        assert sock.fileno() >= 0
        sock.close()


async def test_where_there_are_too_many_the_oldest_of_those_with_most_goes() -> None:
    """And waits no more; so do all at the end."""
    turns = LoopTurns(asyncio.get_running_loop(), 0.0)
    lobby = Lobby(turns, lambda sock, who: pytest.fail("nobody has a turn here"))
    sockets = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for sock, pid in zip(sockets, (1, 2, 2, 2), strict=True):
        lobby.enter(sock, peer(pid))

    lobby.shorten()
    assert [sock.fileno() == -1 for sock in sockets] == [False, True, False, False]
    lobby.close()
    assert len(lobby) == 0
    assert not turns.turns
    assert {sock.fileno() for sock in sockets} == {-1}
    await asyncio.sleep(0)


async def test_nobody_is_kept_out_by_thousands_who_call(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """They only make each other go, as those do who have come in."""
    pids = iter([*[7] * 300, 8])
    monkeypatch.setattr("jobkeepd.rpc.listener.peer_of", lambda sock: Peer(os.geteuid(), 1, next(pids)))
    monkeypatch.setattr("jobkeepd.rpc.listener._LOBBY", 10)
    served = serve(turn=0.0, connections=20)
    crowd = [_dialled(served.path) for _ in range(20)]
    while len(crowd) < 300:
        await asyncio.sleep(0)
        crowd += [_dialled(served.path) for _ in range(10)]
    client = await served.client()

    assert await client.call("org.varlink.service.GetInfo")
    assert len(served.listener.census.guests) <= 20
    await until(_gone(crowd, 270))
    for sock in crowd:
        sock.close()


def _dialled(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    sock.setblocking(False)
    return sock


def _gone(crowd: list[socket.socket], most: int) -> Callable[[], bool]:
    def gone() -> bool:
        return sum(_is_closed(sock) for sock in crowd) >= most

    return gone


def _is_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
