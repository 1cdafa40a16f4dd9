"""A spawner and its slots driven over plain sockets, as any daemon could."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobkeepd.spawner import record

FOLDER = Path(record.__file__).parent


class Peer:
    """A blocking connection with a deadline."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(path)
        self._lines = self.socket.makefile("rb")

    def send(self, **message: Any) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def next(self) -> dict[str, Any] | None:
        """None: the other end has hung up."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:  # it hung up with something of ours unread
            return None
        return dict(json.loads(line)) if line else None

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


def start_spawner(runtime: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(FOLDER / "spawner.py"), str(runtime)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    return process


def order(runtime: Path, run: str, *argv: str) -> dict[str, Any]:
    return {
        "op": "start", "run": run, "argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "cwd": str(runtime), "umask": 0o22,
        "stdout": str(runtime / "output"), "stderr": str(runtime / "output"), "grace": 1.0,
    }  # fmt: skip


def wait_readable(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(5000), "nothing happened in time"


def put_down(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    wait_readable(pidfd)
    os.close(pidfd)
