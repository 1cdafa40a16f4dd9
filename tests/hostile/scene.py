"""A daemon under attack: what it takes in memory, and how long others wait for it meanwhile."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobkeep.testing import PrivateDaemon

TESTS = Path(__file__).resolve().parents[1]
MIB = 1 << 20
GROWTH = 64 * MIB  # what a daemon stays under, whoever attacks it


def private_bytes(pid: int) -> int:
    """What is the process's alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


@dataclass
class Outcome:
    """`done` is what the attackers say of themselves; times are seconds."""

    name: str
    done: list[int]
    grown: int
    took: list[float]
    lost: int
    slowest: str  # method

    def at(self, share: float) -> float:
        return sorted(self.took)[min(int(len(self.took) * share), len(self.took) - 1)]

    def __str__(self) -> str:
        return (
            f"{self.name:<32} {sum(self.done):>9,} done  memory {self.grown / MIB:+6.1f} MiB  others: "
            f"{len(self.took)} calls, p50 {self.at(0.5) * 1e3:.1f} ms, p99 {self.at(0.99) * 1e3:.1f} ms, "
            f"max {max(self.took) * 1e3:.0f} ms ({self.slowest}), {self.lost} lost"
        )


class Scene:
    """One daemon, one bystander at a time, and attackers."""

    def __init__(self, daemon: PrivateDaemon, job: str) -> None:
        self.daemon = daemon
        self.job = job
        self.baseline = private_bytes(daemon.pid)

    def _start(self, module: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", f"hostile.{module}", str(self.daemon.socket), *words],
            cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def attack(self, name: str, *attackers: Sequence[str], seconds: float = 0.0) -> Outcome:
        """All at once, for `seconds` after the last of them has said that it has done what it wanted."""
        bystander = self._start("bystander", self.job)
        processes: list[subprocess.Popen[str]] = []
        try:
            assert _line(bystander) == "ready\n"
            with self._watched() as seen:
                processes += [self._start("attacks", *words) for words in attackers]
                done = [int(_line(process)) for process in processes]
                time.sleep(seconds)
                for process in processes:
                    process.communicate("")
                said, _ = bystander.communicate("")
        finally:
            for process in (bystander, *processes):
                process.kill()
                process.wait()
        heard = json.loads(said)
        return Outcome(name, done, max(seen) - self.baseline, heard["took"], heard["lost"], heard["slowest"])

    @contextmanager
    def _watched(self) -> Iterator[list[int]]:
        """The memory from time to time."""
        seen = [private_bytes(self.daemon.pid)]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                seen.append(private_bytes(self.daemon.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()
            seen.append(private_bytes(self.daemon.pid))


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@contextmanager
def scene(large: int = 100, small: int = 20) -> Iterator[Scene]:
    """With jobs in a queue that starts none: large ones, so that a page of a list is as large as pages get, and small
    ones of the bystander.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the daemon's, too
    daemon = PrivateDaemon(JOBKEEP_DAEMON_LOG_LEVEL="error")
    try:
        with daemon as jk:
            jk.pause_queue("default")
            jobs = [jk.run(["true", str(number)], labels={"of": "bystander"}) for number in range(small)]
            for _ in range(large):
                jk.run(["true", "x" * 40_000])
            for _ in range(3):
                list(jk.jobs())
            yield Scene(daemon, jobs[0].id)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
