"""Many daemons are started at once on one state directory: one has it, the others say who."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobkeep

from .judges import slay_all

PATIENCE = 300.0  # seconds, for two hundred interpreters


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jk-"))
    yield folder
    slay_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


def answers(socket: Path) -> bool:
    try:
        jobkeep.connect_blocking(str(socket), autostart=False).close()
    except jobkeep.DaemonUnreachable:
        return False
    return True


def contest(home: Path, count: int) -> None:
    """Start `count`, of which each second one has a runtime directory and a socket of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
    environment = {**inherited, "JOBKEEP_DAEMON_STATE_DIR": str(home / "state")}
    started: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for number in range(count):
            runtime = home / ("run" if number % 2 else f"run{number}")
            with (home / f"said.{number}").open("wb") as said:
                started[number] = subprocess.Popen(
                    [sys.executable, "-m", "jobkeepd"],
                    env={**environment, "JOBKEEP_DAEMON_RUNTIME_DIR": str(runtime)},
                    stdin=subprocess.DEVNULL,
                    stderr=said,
                )
        deadline = time.monotonic() + PATIENCE
        while sum(daemon.poll() is None for daemon in started.values()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (winner,) = [number for number, daemon in started.items() if daemon.returncode is None]
        pid = started[winner].pid
        runtime = home / ("run" if winner % 2 else f"run{winner}")
        while not answers(runtime / "socket"):  # its first start may outlast the others' look at its lock
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with jobkeep.connect_blocking(str(runtime / "socket"), autostart=False) as jk:
            assert jk.status().pid == pid
            assert jk.run(["true"]).result(timeout=60) == 0
        refusal = f"jobkeepd: cannot start: {home / 'state'} is in use by process {pid}\nhint: `jobkeep daemon status`"
        for number, daemon in started.items():
            if number != winner:
                said = (home / f"said.{number}").read_text()
                assert said.startswith(refusal), said
                assert daemon.returncode == 1
    finally:
        for daemon in started.values():
            daemon.terminate()
        for daemon in started.values():
            daemon.wait(60)


def test_of_twenty_daemons_that_start_at_once_one_has_the_directory(home: Path) -> None:
    """The others end with status 1 and name it."""
    contest(home, 20)


@pytest.mark.long
def test_of_two_hundred_daemons_that_start_at_once_one_has_the_directory(home: Path) -> None:
    """As twenty."""
    contest(home, 200)
