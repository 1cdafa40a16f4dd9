"""Kills one thread's process at an exact system call, by strace; the kill comes before the call is carried out."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\(")
_STOPPED = re.compile(r"^(?:(\d+) +)?--- stopped by SIGSTOP")
_GONE = re.compile(r"^(?:(\d+) +)?\+\+\+ ")
_KILLED = re.compile(r"^(?:(\d+) +)?\+\+\+ killed by SIGKILL")


class Point(NamedTuple):
    """The `number`-th call of that name by one thread, counted from the moment of attaching."""

    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call}#{self.number}"


class Strace:
    """Attached to a thread until the block is left, and until it execs; with `follow` also to what it forks.

    At the point `kill` a traced thread gets SIGKILL, and at its first call of the name `stop` SIGSTOP.
    """

    def __init__(
        self, tid: int, log: Path, *, follow: bool = False, kill: Point | None = None, stop: str | None = None
    ) -> None:
        self._pid = _process_of(tid)
        self._born = _stat(self._pid)[19]
        self._tid = tid
        self._log = log
        self._point = kill
        self._options = ["-b", "execve", *(["-f"] if follow else [])]
        if kill is not None:
            self._options += ["-e", f"trace={kill.call}", "-e", f"inject={kill.call}:signal=KILL:when={kill.number}"]
        elif stop is not None:
            self._options += ["-e", f"trace={stop}", "-e", f"inject={stop}:signal=STOP:when=1"]

    def __enter__(self) -> Self:
        self._log.unlink(missing_ok=True)
        command = ["strace", *self._options, "-o", str(self._log), "-p", str(self._tid)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        said = self._process.stderr.readline().decode()
        assert "attached" in said, said
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hear_out()
        self._process.kill()  # and the kernel detaches: a thread in vfork() would keep strace from doing so
        self._process.communicate()

    def _hear_out(self) -> None:
        """Others may see that a process is dead before strace has written down how it died."""
        deadline = time.monotonic() + 10
        while self._point and self.process_has_ended and self._tid not in self._thread(_GONE):
            if self._process.poll() is not None or time.monotonic() > deadline:
                return
            time.sleep(0.002)

    @property
    def calls(self) -> list[str]:
        """Those of the thread, in the order in which they were entered."""
        return [name for tid, name in self._entered() if tid == self._tid]

    @property
    def has_killed(self) -> bool:
        """Whether the thread came to the point and got its SIGKILL there, by the log."""
        point = self._point
        if point is None or self.calls.count(point.call) != point.number:
            return False
        return self._tid in self._thread(_KILLED)

    @property
    def process_has_ended(self) -> bool:
        """Whether the thread's process has; its number may be another's since."""
        try:
            now = _stat(self._pid)
        except OSError:
            return True
        return now[0] in "ZX" or now[19] != self._born

    @property
    def stopped(self) -> int | None:
        """The thread that was stopped; None if none was so far."""
        return next(iter(self._thread(_STOPPED)), None)

    def _entered(self) -> list[tuple[int, str]]:
        found = filter(None, map(_CALL.match, self._lines()))
        return [(int(each[1] or self._tid), each[2]) for each in found]

    def _thread(self, pattern: re.Pattern[str]) -> list[int]:
        found = filter(None, map(pattern.match, self._lines()))
        return [int(each[1] or self._tid) for each in found]

    def _lines(self) -> list[str]:
        try:
            return self._log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []


def _process_of(tid: int) -> int:
    status = Path(f"/proc/{tid}/status").read_text()
    return int(status.split("Tgid:")[1].split()[0])


def _stat(pid: int) -> list[str]:
    """From the third field on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
