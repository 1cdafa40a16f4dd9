"""`python -m bench.watch SOCKET COUNT`: connections that follow all events. A line of input asks how many came."""

from __future__ import annotations

import select
import socket
import sys

import msgspec

from bench.wire import NUL
from jobkeep.protocol.envelope import Call

ASK = msgspec.json.encode(Call("org.jobkeep.Jobs.Events", msgspec.Raw(b'{"follow":true}'), more=True)) + NUL


def main(path: str, count: int) -> None:
    poller = select.epoll()
    watchers: dict[int, socket.socket] = {}
    for _ in range(count):
        watcher = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        watcher.connect(path)
        watcher.sendall(ASK)
        watchers[watcher.fileno()] = watcher
        poller.register(watcher, select.EPOLLIN)
    poller.register(sys.stdin, select.EPOLLIN)
    came = dict.fromkeys(watchers, 0)
    while True:
        for fd, _ in poller.poll():
            if fd in watchers:
                data = watchers[fd].recv(1 << 18)
                if not data:
                    raise SystemExit("error: a watcher was dropped")
                came[fd] += data.count(NUL)
            elif not sys.stdin.readline():
                return
            else:
                print(min(came.values()), max(came.values()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
