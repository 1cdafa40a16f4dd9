"""A scripted daemon, and ways to run the CLI against it: in this process (fast) or in one of its own."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cli.fake_daemon import FakeDaemon
from jobkeep.cli.main import main

PR_SET_CHILD_SUBREAPER = 36
CLIENT = Path(__file__).resolve().parents[2] / "client"


@dataclass
class Done:
    """How one invocation ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Jobkeep = Callable[..., Done]


@pytest.fixture
def folder() -> Iterator[str]:
    """Short: the path of a Unix socket has at most 107 bytes."""
    with TemporaryDirectory(prefix="jk") as path:
        yield path


@pytest.fixture
def daemon(folder: str) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(f"{folder}/s")
    yield daemon
    daemon.close()


@pytest.fixture(autouse=True)
def environment(folder: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripted daemon is the only one in reach, and nothing is ever started."""
    monkeypatch.setenv("JOBKEEP_SOCKET", f"{folder}/s")
    monkeypatch.setenv("JOBKEEP_AUTOSTART", "0")
    for name in ("NO_COLOR", "COLUMNS", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    yield
    # A command line that runs a command adopts what that leaves, until it ends itself. These tests go on: orphans of
    # whatever comes after them would be ours, and stay zombies.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture
def jobkeep(capfd: pytest.CaptureFixture[str]) -> Jobkeep:
    """Run a command line in this process."""

    def run(*argv: str) -> Done:
        capfd.readouterr()
        code = main(argv)
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


def start(*argv: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command line in a process of its own."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(
        [sys.executable, "-m", "jobkeep.cli", *argv],
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
        **options,
    )


def written_to(terminal: int) -> str:
    """All that comes to our end of a terminal until the other one is closed; then ours is, too."""
    output = b""
    try:
        while data := os.read(terminal, 1 << 16):
            output += data
    except OSError:  # EIO: the other end is closed
        pass
    os.close(terminal)
    return output.decode().replace("\r\n", "\n")
