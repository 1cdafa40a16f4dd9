"""Private daemons and folders for a benchmark, and the end of all that was started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.wire import BareClient
from jobkeep.protocol.jobs import JobSpec

PR_SET_CHILD_SUBREAPER = 36
PARKED = "parked"  # a queue with one slot
STARTS_WITHIN = 15.0  # seconds
CONFIG = """\
[daemon]
socket = "{run}/socket"
state_dir = "{state}"
runtime_dir = "{run}"
log_level = "warning"

[queues.default]
limit = {limit}

[queues.parked]
limit = 1
"""


class Rig:
    """Gives a folder on a real disk, one in memory, and daemons; on leaving, nothing of them remains."""

    def __init__(self, disk: str | None) -> None:
        self.disk = Path(tempfile.mkdtemp(prefix="jobkeep-bench-", dir=disk))
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else disk
        self.memory = Path(tempfile.mkdtemp(prefix="jobkeep-bench-", dir=memory))
        self._shared: Daemon | None = None
        self._count = 0
        # Processes that outlive their parents come to us, so that they can be ended by parentage alone.
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot become a subreaper")

    def daemon(self) -> Daemon:
        """The daemon that most measures share."""
        if self._shared is None:
            self._shared = self.fresh_daemon()
        return self._shared

    def fresh_daemon(self, limit: int = 2, config: str = CONFIG, fill: Callable[[Path], None] | None = None) -> Daemon:
        """`fill` makes what is in the state directory before it starts."""
        self._count += 1
        name = f"daemon{self._count}"
        return Daemon(self.disk / name, self.memory / name, config.replace("{limit}", str(limit)), fill)

    def close(self) -> None:
        end_descendants()
        for folder in (self.disk, self.memory):
            shutil.rmtree(folder, ignore_errors=True)


class Daemon:
    """`jobkeepd` as a child process that answers."""

    def __init__(self, state: Path, run: Path, config: str, fill: Callable[[Path], None] | None = None) -> None:
        for folder in (state, run):
            folder.mkdir(mode=0o700)
        self.state = state
        self.socket = str(run / "socket")
        self._config = state / "config.toml"
        self._config.write_text(config.format(state=state, run=run), encoding="utf-8")
        self._log = state / "daemon.log"
        if fill is not None:
            fill(state)
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobkeepd", "--config", str(self._config)],
                env={name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def pid(self) -> int:
        return self.process.pid

    def client(self) -> BareClient:
        return BareClient(self.socket)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.client().close()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise SystemExit(f"error: the daemon does not answer\n{said}")


def hold_queue(client: BareClient, fifo: Path) -> None:
    """Take the one slot of the parked queue with a command that waits for ever and costs nothing."""
    os.mkfifo(fifo)
    client.submit(JobSpec(command=["cat", str(fifo)], queue=PARKED, cwd="/"))


def children(pid: int) -> list[int]:
    """The children of every thread of `pid`."""
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.extend(map(int, tasks.read_text().split()))
    return found


def end_descendants(within: float = 10.0) -> None:
    """SIGKILL for all below us, until a look finds nobody: orphans come to us since we are the subreaper."""
    deadline = time.monotonic() + within
    while mine := children(os.getpid()):
        for pid in mine:
            for victim in (pid, *children(pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > deadline:
            raise SystemExit(f"error: processes {mine} do not end")
        time.sleep(0.01)
