"""A Dask cluster of separate processes, as its own commands start it; and functions that leave marks there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE_S = 60.0
JOBS = '''
import functools, os, time

def add(a: int, b: int = 1) -> int:
    return a + b

def big() -> str:
    return "x" * 300_000

def shout(ctx, text: str) -> None:
    print(text)
    print(text, file=__import__("sys").stderr)

async def batch(ctx, log: str, count: int, gate: str = "", stop_at: int = -1):
    """Each start leaves a file, each item a line; item `stop_at` waits until the gate's file is there."""
    os.close(os.open(f"{log}.start.{ctx.run_number}.{os.getpid()}", os.O_CREAT | os.O_EXCL))
    async def one(item: int) -> str:
        if item == stop_at:
            while not os.path.exists(gate):
                await ctx.sleep(0.01)
        with open(log, "a") as file:
            file.write(f"{item} {os.getpid()}\\n")
        if item % 10 == 3:
            raise ValueError(f"item {item} is bad")
        return "even" if item % 2 == 0 else "odd"
    return (await ctx.for_each(range(count), one, key=str, every=5)).tallies

def wait(log: str, gate: str) -> str:
    os.close(os.open(f"{log}.start.1.{os.getpid()}", os.O_CREAT | os.O_EXCL))
    while not os.path.exists(gate):
        time.sleep(0.01)
    with open(log, "a") as file:
        file.write("ended\\n")
    return "done"

def tick(log: str) -> None:
    """Never ends, and does not look at anything."""
    while True:
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(0.02)

def one(log, gate, stop_at, item: int) -> str:
    if item == stop_at:
        while not os.path.exists(gate):
            time.sleep(0.01)
    time.sleep(0.02)
    with open(log, "a") as file:
        file.write(f"{item} {os.getpid()}\\n")
    if item % 10 == 3:
        raise ValueError(f"item {item} is bad")
    return "even" if item % 2 == 0 else "odd"

async def spread(ctx, log: str, count: int, gate: str = "", stop_at: int = -1, every: int = 40):
    """Each start leaves a file, each item a line; item `stop_at` waits until the gate's file is there."""
    os.close(os.open(f"{log}.start.{ctx.run_number}.{os.getpid()}", os.O_CREAT | os.O_EXCL))
    body = functools.partial(one, log, gate, stop_at)
    return (await ctx.map(body, range(count), key=str, every=every)).tallies

async def stepwise(ctx, log: str) -> list:
    def once(name):
        with open(log, "a") as file:
            file.write(name + "\\n")
        return name
    first = await ctx.step("first", once, "first")
    await ctx.checkpoint({"first": first})
    if ctx.run_number == 1:
        raise ValueError("once more")
    return [first, await ctx.step("second", once, "second"), ctx.restored]
'''


class Cluster:
    """A scheduler and workers under nannies, each of them with one thread. What they import lies in `path`."""

    def __init__(self, home: Path, name: str, workers: int = 2, path: str | None = None) -> None:
        self.home = home
        self._path = path or str(home)
        self.file = home / f"{name}.json"
        self._name = name
        self._workers = workers
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self.start_scheduler()
        self.start_workers()

    def start_workers(self) -> None:
        self._run("worker", "--scheduler-file", str(self.file), "--nworkers", str(self._workers), "--nthreads", "1",
                  "--local-directory", str(self.home / f"{self._name}.d"))  # fmt: skip

    def restart_workers(self) -> None:
        """They do not look for another scheduler for long."""
        self.kill("worker")
        self.start_workers()

    def start_scheduler(self, port: int = 0) -> None:
        self.file.unlink(missing_ok=True)
        self._run("scheduler", "--host", "127.0.0.1", "--port", str(port), "--scheduler-file", str(self.file))
        until(lambda: self.file.exists() and self.file.stat().st_size > 0)

    @property
    def address(self) -> str:
        address: str = json.loads(self.file.read_text(encoding="utf-8"))["address"]
        return address

    def kill(self, part: str) -> None:
        """`part` is scheduler or worker."""
        process = self._started.pop(part, None)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        self.kill("worker")
        self.kill("scheduler")

    def _run(self, part: str, *options: str) -> None:
        environment = {**os.environ, "PYTHONPATH": self._path}
        with (self.home / f"{self._name}.log").open("ab") as log:
            self._started[part] = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + part, "--no-dashboard", *options],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd=self.home,
            )  # fmt: skip


@contextmanager
def running(home: Path, name: str, workers: int = 2) -> Iterator[Cluster]:
    cluster = Cluster(home, name, workers)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def until(is_so: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait for a condition that only another process can make true."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.01)


def lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def starts(log: Path) -> list[tuple[int, int]]:
    """Run number and process of each start."""
    found = [path.name.rsplit(".", 2)[1:] for path in log.parent.glob(f"{log.name}.start.*")]
    return sorted((int(number), int(pid)) for number, pid in found)
