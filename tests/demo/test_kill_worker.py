"""The demo kills nobody but the process that holds its start log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkeep.demo.kill_worker import kill_worker

HOLD = "import sys; file = open(sys.argv[1], 'a'); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = tmp_path / "starts.log"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_the_holder_of_the_log_is_killed(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """SIGKILL, and True."""
    assert kill_worker(holder.pid, tmp_path / "starts.log")
    assert holder.wait(timeout=120) == -signal.SIGKILL


def test_another_process_is_left_alone(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A number that now belongs to somebody else is no target."""
    other = tmp_path / "other.log"
    other.touch()

    assert not kill_worker(holder.pid, other)
    assert holder.poll() is None


def test_a_process_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """The answer is False: nothing was killed."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=120)

    assert not kill_worker(gone.pid, tmp_path / "starts.log")
    assert os.getpid() != gone.pid
