"""A real daemon of each test's own, and the command line that talks to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobkeep.testing import PrivateDaemon

JOBS = '''
import os, sys, time

def add(a: int, b: int = 1) -> int:
    return a + b

def shout(text: str) -> None:
    print(text)
    print(text.upper(), file=sys.stderr)

async def batch(ctx, log: str, count: int, gate: str, stop_at: int):
    """Each item writes a line; item `stop_at` waits until the gate's file is there."""
    async def one(item: int) -> str:
        if item == stop_at:
            while not os.path.exists(gate):
                await ctx.sleep(0.01)
        with open(log, "a") as file:
            file.write(f"{item}\\n")
        if item % 10 == 3:
            raise ValueError(f"item {item} is bad")
        return "even" if item % 2 == 0 else "odd"
    return (await ctx.for_each(range(count), one, key=str, every=5)).tallies

def say_when(text: str, gate: str) -> None:
    open(f"{gate}.{text}", "a").close()  # it has begun
    while not os.path.exists(gate):
        time.sleep(0.01)
    print(text)

def say_and_wait(text: str, gate: str) -> None:
    print(text)
    while not os.path.exists(gate):
        time.sleep(0.01)

def slow(gate: str) -> str:
    while not os.path.exists(gate):
        time.sleep(0.01)
    return "done"
'''

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="2")
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    with private:
        yield private


@pytest.fixture
def cli(daemon: PrivateDaemon) -> Cli:
    """`jobkeep ARGUMENTS…` in the daemon's folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return command_line(daemon.socket, daemon.home, *arguments)

    return run


def command_line(socket: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JOBKEEP_SOCKET": str(socket), "JOBKEEP_AUTOSTART": "0"}
    return subprocess.run(
        [sys.executable, "-m", "jobkeep.cli", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def start(state: Path, runtime: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A daemon that is expected to refuse."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
    return subprocess.run(
        [sys.executable, "-m", "jobkeepd", *arguments],
        env={
            **inherited,
            "JOBKEEP_DAEMON_STATE_DIR": str(state),
            "JOBKEEP_DAEMON_RUNTIME_DIR": str(runtime),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
