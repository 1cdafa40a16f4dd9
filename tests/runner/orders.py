"""Orders for leaders, and how tests wait for what leaders do."""

from __future__ import annotations

import os
import select
from itertools import count
from pathlib import Path

import anyio

from jobkeepd.runner.base import LeaderOrder

PATH = "/usr/local/bin:/usr/bin:/bin"
_numbers = count(1)


def order(runtime: Path, *argv: str, cwd: str = "/", output: str | None = None, grace: float = 5.0) -> LeaderOrder:
    """Run `argv`; both streams go to one file."""
    log = output or str(runtime / "output")
    env = {"PATH": PATH, "HERE": str(runtime)}
    return LeaderOrder(f"job.{next(_numbers)}", argv, env, cwd, 0o022, log, log, grace)


def shell(runtime: Path, script: str, grace: float = 5.0) -> LeaderOrder:
    return order(runtime, "sh", "-c", script, grace=grace)


class Signpost:
    """A FIFO that processes of a run keep open: `reached` when one writes, `deserted` when all have let go.

    The end of the last holder is the kernel's word, so nothing has to be looked up in a list of processes.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def fileno(self) -> int:
        return self._fd

    async def reached(self, times: int = 1) -> None:
        while times > 0:
            with anyio.fail_after(60):
                await anyio.wait_readable(self._fd)
            times -= os.read(self._fd, 4096).count(b"\n")

    async def deserted(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        with anyio.fail_after(60):
            while True:
                await anyio.wait_readable(self._fd)
                if poll.poll(0)[0][1] == select.POLLHUP:
                    return
                os.read(self._fd, 4096)

    def close(self) -> None:
        os.close(self._fd)
