"""Processes that hold locks, to be stopped and killed; and patience with what another process does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobkeep.testing import PrivateDaemon

PATIENCE = "60s"
PATIENCE_S = 60.0

# A client that holds a lock until it is told to leave; what happens to it goes into files.
HOLDER = """
import sys, time
from pathlib import Path
import jobkeep
socket, name, ttl, folder = sys.argv[1:]
folder = Path(folder)
with jobkeep.connect_blocking(socket) as jk:
    try:
        with jk.lock(name, ttl=ttl, wait="1m") as lease:
            (folder / "token.new").write_text(str(lease.token))
            (folder / "token.new").rename(folder / "token")
            while not (folder / "leave").exists():
                time.sleep(0.01)
                lease.check()
    except jobkeep.LeaseLost as lost:
        (folder / "lost").write_text(str(lost))
"""


def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> float:
    """Look until it holds; the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never came to hold"
        time.sleep(0.002)
    return time.monotonic() - began


class Holder:
    """A process that holds a lock."""

    def __init__(self, daemon: PrivateDaemon, name: str, ttl: str) -> None:
        self.folder = daemon.home / f"holder-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(daemon.socket), name, ttl, str(self.folder)]
        )

    def token(self) -> int:
        """Once it has the lock."""
        until(lambda: (self.folder / "token").exists())
        return int((self.folder / "token").read_text())

    def lost(self) -> str:
        """Why, once it has ended."""
        assert self.process.wait(timeout=PATIENCE_S) == 0
        file = self.folder / "lost"
        return file.read_text() if file.exists() else ""

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def holder(daemon: PrivateDaemon, name: str = "crm", ttl: str = "30s") -> Iterator[Holder]:
    held = Holder(daemon, name, ttl)
    try:
        yield held
    finally:
        held.end()
