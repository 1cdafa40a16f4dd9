"""A spawner and its slots driven over plain sockets, as any daemon could."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobkeepd.spawner import record

FOLDER = Path(record.__file__).parent


class Peer:
    """A blocking connection with a deadline."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
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


HASTY = """
import sys
sys.path.insert(0, sys.argv[2])
import warden, spawner
warden.LASTING = {}
{}
spawner.main(sys.argv[1])
"""


def start_spawner(runtime: Path, lasting: float | None = None, change: str = "") -> subprocess.Popen[bytes]:
    """`lasting`: seconds after which a run is handed over, if not after the usual time; with some `change` of code."""
    script = [str(FOLDER / "spawner.py")] if lasting is None else ["-c", HASTY.format(lasting, change)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", *script, str(runtime), str(FOLDER)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    return process


def dial(runtime: Path, slot: str = "s1") -> Peer:
    return Peer(record.slot_socket(str(runtime), slot))


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.01)


def order(runtime: Path, run: str, *argv: str) -> dict[str, Any]:
    return {
        "op": "start", "run": run, "argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "cwd": str(runtime), "umask": 0o22,
        "stdout": str(runtime / "output"), "stderr": str(runtime / "output"), "grace": 1.0,
    }  # fmt: skip


def wait_readable(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(60_000), "nothing happened in time"


def put_down_slots(runtime: Path) -> None:
    """Until none lives: one that is looked at may be handing its run over, from its shim to its warden."""
    while pids := [pid for lock in runtime.glob("slots/*.lock") if (pid := record.lock_holder(str(lock))) is not None]:
        for pid in pids:
            put_down(pid)


def put_down(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was about to end by itself
    wait_readable(pidfd)
    os.close(pidfd)
