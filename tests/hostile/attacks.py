"""What hostile clients do, each in a process of its own: `python -m hostile.attacks SOCKET NAME ARGUMENTS…`.

Each says a number once it has done what it wanted, or as much as it wanted for now, and ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice

HELLO = b'{"method":"org.varlink.service.GetInfo"}\0'
LARGEST = (
    b'{"method":"org.jobkeep.Jobs.List","parameters":{"limit":1000}}\0',
    b'{"method":"org.jobkeep.Admin.Sql","parameters":{"query":"SELECT hex(randomblob(100000)) FROM jobs"}}\0',
)


def dial(path: str) -> socket.socket | None:
    """None where the daemon has no room right now."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)  # without a timeout it waits for a place among those who wait to be accepted
    except OSError:
        sock.close()
        return None
    sock.settimeout(5.0)
    return sock


def many(path: str, count: int) -> list[socket.socket]:
    return [sock for sock in (dial(path) for _ in range(count)) if sock is not None]


def tell(done: int) -> None:
    print(done, flush=True)


def over(within: float = 0.0) -> bool:
    return bool(select.select([sys.stdin], [], [], within)[0])


def idle(path: str, count: str) -> None:
    """Connections that say nothing."""
    kept = many(path, int(count))
    tell(len(kept))
    sys.stdin.read()


def slow(path: str, count: str) -> None:
    """Writers of a byte at a time, of a call and then of one that never ends."""
    kept = many(path, int(count))
    tell(len(kept))
    for byte in (*HELLO[:-1], *(b"x" * 10**6)):
        for sock in list(kept):
            try:
                sock.send(bytes([byte]))
            except OSError:
                kept.remove(sock)
        if over(0.05):
            return


def deaf(path: str, count: str, dropped: str) -> None:
    """Callers that ask for the largest replies, as many ahead as will go, and never read. Each one that the daemon
    drops is replaced by another. They are content when `dropped` have been.
    """
    kept = [_unheeding(sock) for sock in many(path, int(count))]
    gone, said = 0, False
    while not over(0.02):
        for place, sock in enumerate(kept):
            try:
                sock.send(LARGEST[place % len(LARGEST)] * 50)
            except BlockingIOError:
                continue
            except OSError:
                gone += 1
                sock.close()
                kept[place] = _unheeding(dial(path) or sock)
        if gone >= int(dropped) and not said:
            tell(gone)
            said = True


def _unheeding(sock: socket.socket) -> socket.socket:
    with contextlib.suppress(OSError):
        sock.setblocking(False)
    return sock


def half(path: str, count: str) -> None:
    """Callers that end their own half and stay; others that are gone in the middle of a message."""
    kept = many(path, int(count))
    for place, sock in enumerate(kept):
        with contextlib.suppress(OSError):
            sock.send(HELLO if place % 2 else HELLO[: place % 30])
            sock.shutdown(socket.SHUT_WR)
    tell(len(kept))
    sys.stdin.read()


def flood(path: str, count: str) -> None:
    """Good calls, as many as will go, answered and read."""
    kept = many(path, int(count))
    for sock in kept:
        sock.setblocking(False)
    tell(len(kept))
    while not over():
        readable, writable, _ = select.select(kept, kept, [], 0.1)
        for sock in readable:
            with contextlib.suppress(OSError):
                sock.recv(1 << 18)
        for sock in writable:
            with contextlib.suppress(OSError):
                sock.send(HELLO * 200)


def fuzz(path: str, count: str, number: str) -> None:
    """Damaged calls, each counted once it has been sent; a connection goes as soon as the daemon ends it."""
    from hostile.messages import corpus, damaged, is_harmless  # the others start without it in a moment

    wanted, sent = int(count), 0
    seeds = [message for message in corpus(min(400, wanted // 4), int(number)) if is_harmless(message)]
    messages = filter(is_harmless, damaged(seeds, int(number)))
    while sent < wanted:
        sent += batch(path, messages, min(200, wanted - sent))
    tell(sent)
    sys.stdin.read()


def batch(path: str, messages: Iterator[bytes], most: int) -> int:
    """Those of one connection; what the daemon has not read when it ends the connection counts as well."""
    sock = dial(path)
    if sock is None:
        time.sleep(0.01)
        return 0
    sent = 0
    with sock:
        sock.settimeout(0.2)
        try:
            for message in islice(messages, most):
                sock.send(message + b"\0")
                sent += 1
                if select.select([sock], [], [], 0)[0] and not sock.recv(1 << 16):
                    break
            sock.shutdown(socket.SHUT_WR)
            while said := sock.recv(1 << 16):
                check(said)
        except OSError:
            pass
    return sent


def check(said: bytes) -> None:
    """What comes whole in one piece is a reply."""
    for message in said.split(b"\0")[1:-1]:
        assert json.loads(message).keys() <= {"parameters", "error", "continues"}, message


ATTACKS: dict[str, Callable[..., None]] = {each.__name__: each for each in (idle, slow, deaf, half, flood, fuzz)}

if __name__ == "__main__":
    ATTACKS[sys.argv[2]](sys.argv[1], *sys.argv[3:])
