"""A peer between client and daemon that drops a connection at an exact byte, or lets it hang."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from pathlib import Path
from typing import Literal, NamedTuple

Direction = Literal["asked", "answered"]


class Cut(NamedTuple):
    """After so many bytes of what is asked, or of what is answered, the connection ends for both sides; with `hangs`
    the client hears nothing more of it instead."""

    direction: Direction
    after: int
    hangs: bool = False


class Cutter:
    """Listens at `path` and passes on to `target`. Each cut is made once; connections after it are left alone."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = str(path)
        self._target = str(target)
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._passed: dict[Direction, int] = {"asked": 0, "answered": 0}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, cut: Cut | None) -> None:
        """Count from now on."""
        with self._lock:
            self._cut = cut
            self._passed = {"asked": 0, "answered": 0}

    @property
    def made(self) -> bool:
        """The cut that was armed has happened."""
        return self._cut is None

    @property
    def passed(self) -> dict[Direction, int]:
        return dict(self._passed)

    def close(self) -> None:
        """Accept nobody more; connections end with their peers."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon, contextlib.suppress(OSError):
            daemon.connect(self._target)
            hung = False
            while True:
                for source in select.select([client, daemon], [], [])[0]:
                    direction: Direction = "asked" if source is client else "answered"
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if hung:
                        continue
                    room, hangs = self._count(direction, len(data))
                    (daemon if source is client else client).sendall(data[:room])
                    hung = hangs
                    if room < len(data) and not hangs:
                        return

    def _count(self, direction: Direction, size: int) -> tuple[int, bool]:
        """How many of these bytes are passed on, and whether nothing follows."""
        with self._lock:
            before = self._passed[direction]
            self._passed[direction] += size
            cut = self._cut
            if cut is None or cut.direction != direction or before + size <= cut.after:
                return size, False
            self._cut = None
            return cut.after - before, cut.hangs
