"""Standard streams that are closed or full."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.conftest import CLIENT
from cli.fake_daemon import FakeDaemon, job


@pytest.fixture
def answering(daemon: FakeDaemon) -> FakeDaemon:
    daemon.answers.update(List={"jobs": [job()]}, Get={"job": job()}, Status={"version": "1"})
    return daemon


def redirected(redirection: str, *line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "jobkeep.cli", *line],
        env={**os.environ, "PYTHONPATH": str(CLIENT), "PYTHONUNBUFFERED": ""},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("line", [["ls"], ["--help"], ["show", "k"]], ids=" ".join)
def test_closed_streams_are_no_error(answering: FakeDaemon, redirection: str, line: list[str]) -> None:
    """Whoever closes them does not want to know; the exit status is the command's own."""
    done = redirected(redirection, *line)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_failure_has_its_exit_status_without_streams(folder: str, redirection: str) -> None:
    """Nobody is there: 4, and not 1 for an error of our own."""
    done = redirected(redirection, "ls")

    assert done.returncode == 4
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", [["ls"], ["--help"], ["ls", "--json"], ["version"], ["ls", "--help"]], ids=" ".join)
def test_a_full_disk_is_told_in_a_line(answering: FakeDaemon, line: list[str]) -> None:
    """Otherwise a cut-off list looks like a whole one."""
    done = redirected(">/dev/full", *line)

    assert done.returncode == 1
    assert done.stderr == "jobkeep: No space left on device\n"


def test_a_full_stderr_keeps_the_exit_status(folder: str) -> None:
    """The message is lost, and its meaning is not."""
    assert redirected("2>/dev/full", "ls").returncode == 4
