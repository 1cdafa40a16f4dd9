"""A daemon of a test's own with strace on it from its first instruction, and a fault at one of its system calls."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from jobkeep.testing import PrivateDaemon

from .judges import slay_all

PATIENCE = 60.0  # seconds; nothing here takes more than two


class Fault(NamedTuple):
    """What happens to the `number`-th call of that name by one thread, on a file of the state directory or any."""

    call: str
    number: int
    what: str = "error=EIO"
    files: Sequence[str] = ("jobs.sqlite", "jobs.sqlite-wal")

    def __str__(self) -> str:
        return f"{self.what} at {self.call} {self.number}"


class TracedDaemon(PrivateDaemon):
    """`fault` befalls the next start; set it to None for a daemon that nothing happens to."""

    fault: Fault | None = None

    def _command(self) -> list[str]:
        plain = super()._command()
        if self.fault is None:
            return plain
        call, number, what, files = self.fault
        paths = [word for name in files for word in ("-P", str(self.home / "state" / name))]
        faults = ["-e", f"trace={call}", "-e", f"inject={call}:{what}:when={number}"]
        # -D: the daemon is our child and strace its grandchild, so that the status we see is the daemon's
        return ["strace", "-D", "-f", "-y", "-qq", "-o", str(self._trace), *paths, *faults, *plain]

    @property
    def _trace(self) -> str:
        return str(self.home / "strace.log")

    def calls(self) -> list[str]:
        """The lines of strace so far, in the order of the calls."""
        with open(self._trace, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file if "(" in line and " --- " not in line]

    def struck(self) -> bool:
        """Whether the fault has really happened."""
        return any("(INJECTED)" in line for line in self.calls())


def need_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (Debian: apt install strace)")


@contextmanager
def attached(pid: int, log: Path, *words: str) -> Iterator[Callable[[], list[str]]]:
    """strace on a thread that runs already, or with -f on all of its process; what it has called since."""
    log.unlink(missing_ok=True)
    command = ["strace", "-y", "-s", "100", "-o", str(log), "-p", str(pid), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        assert "attached" in said, said
        try:
            yield lambda: log.read_text(errors="replace").splitlines()
        finally:
            strace.terminate()
            try:
                strace.communicate(timeout=1)
            except subprocess.TimeoutExpired:  # now and then it waits for ever for a thread that was killed
                strace.kill()


@contextmanager
def traced() -> Iterator[TracedDaemon]:
    """Nothing of it is left afterwards."""
    need_strace()
    daemon = TracedDaemon()
    try:
        yield daemon
    finally:
        daemon.stop()
        slay_all(daemon.home)
        shutil.rmtree(daemon.home, ignore_errors=True)
