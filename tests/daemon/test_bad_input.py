"""Every mistake is told in one place, in words, and the daemon goes on."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .conftest import Cli, command_line, start


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("call", "jobs:nothing"), "nothing"),
        (("call", "nowhere:f"), "no module 'nowhere'"),
        (("call", "broken:f"), "broken"),
        (("call", "jobs:add", "a=three"), "argument 'a'"),
        (("call", "jobs:add", "a=1", "c=2"), "'c'"),
        (("run", "--", "frobnicate"), "command not found: frobnicate"),
        (("call", "--python", "/usr/bin/false", "jobs:add", "a=1"), "did not start"),
    ],
)
def test_what_cannot_run_fails_with_the_reason(
    daemon: PrivateDaemon, cli: Cli, arguments: tuple[str, ...], said: str
) -> None:
    """On stderr for who waits, and on record for who looks later; never a traceback."""
    (daemon.home / "broken.py").write_text("import absent_module\n", encoding="utf-8")
    ran = cli(*arguments)
    assert ran.returncode == (127 if "frobnicate" in arguments else 1)
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    job = cli("-q", "ls").stdout.split()[0]
    outcome = json.loads(cli("--json", "show", job).stdout)["outcome"]
    assert outcome["kind"] == "failed"


def test_a_missing_directory_is_told_before_anything_is_submitted(cli: Cli) -> None:
    """And by the daemon when it is gone by then."""
    assert cli("run", "--cwd", "/nonexistent", "--", "true").returncode == 2


def test_a_directory_that_is_gone_fails_the_job(daemon: PrivateDaemon) -> None:
    """The reason names it."""
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        info = jk.run(["true"], cwd="/nonexistent").wait(timeout="120s")
        assert info.outcome is not None
        assert "/nonexistent" in (info.outcome.reason or "")


@pytest.mark.parametrize(
    "message",
    [b"\xff\xfe{]\0", b"{}\0", b'{"method": 5}\0', b"[" * 5000 + b"\0", b"x" * (2 << 20) + b"\0", b'{"method":"a.b.C"'],
    ids=["no UTF-8", "no method", "method of a wrong type", "deep", "2 MiB", "truncated"],
)
def test_garbage_ends_its_own_connection_alone(daemon: PrivateDaemon, cli: Cli, message: bytes) -> None:
    """The daemon goes on serving others."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(daemon.socket))
        try:
            channel.sendall(message)
            channel.shutdown(socket.SHUT_WR)
            while channel.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert cli("daemon", "status").returncode == 0


def test_a_second_daemon_on_the_state_directory_is_refused_and_told_who_has_it(daemon: PrivateDaemon) -> None:
    """The first one is not disturbed."""
    other = daemon.home / "other"
    ran = start(state=daemon.home / "state", runtime=other)
    assert ran.returncode == 1
    assert f"process {daemon.pid}" in ran.stderr
    assert "hint:" in ran.stderr


def test_a_state_directory_that_cannot_be_used_is_named() -> None:
    """A file in its place; root writes anywhere, so that permissions prove nothing here."""
    with tempfile.TemporaryDirectory(prefix="jk-") as home:  # a socket's path must be short
        state = Path(home, "state")
        state.write_text("in the way")
        ran = start(state=state, runtime=Path(home, "r"))
    assert ran.returncode == 1
    assert str(state) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_corrupt_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """The message says which file and what to do."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    database = state / "jobs.sqlite"
    database.write_bytes(b"SQLite format 3\0" + b"\xa5" * 8192)
    ran = start(state=state, runtime=Path("/tmp") / f"jk-corrupt-{os.getpid()}")
    assert ran.returncode == 1
    assert "jobs.sqlite" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert database.read_bytes().startswith(b"SQLite format 3\0\xa5")


def test_paths_that_are_too_long_for_a_socket_are_counted(tmp_path: Path) -> None:
    """All problems of the configuration at once, exit status 2."""
    deep = tmp_path / ("d" * 120)
    ran = start(state=tmp_path / "s", runtime=deep, JOBKEEP_JOBS_GRACE="soon", JOBKEEP_DAEMON_COLOUR="red")
    assert ran.returncode == 2
    assert "107" in ran.stderr or "longer" in ran.stderr
    assert "JOBKEEP_JOBS_GRACE = 'soon': not a duration" in ran.stderr
    assert "JOBKEEP_DAEMON_COLOUR: " in ran.stderr


def test_nobody_there_is_exit_status_4(tmp_path: Path) -> None:
    """With a hint, and without a traceback."""
    ran = command_line(tmp_path / "nobody", tmp_path, "ls")
    assert ran.returncode == 4
    assert "hint:" in ran.stderr
