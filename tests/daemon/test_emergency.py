"""An emergency with real processes: the daemon hangs, is dead, cannot open its store, or is somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import jobkeep
from crash.judges import is_alive, processes_of, slay_all
from jobkeep.testing import PrivateDaemon

PATIENCE = 60.0
FAMILY = f"x7q{os.getpid()}"  # of no daemon that is tested beside this one
DEAF = "trap '' TERM; env -i setsid sleep 600 & while :; do sleep 1; done"


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1", JOBKEEP_FAMILIES_PLAGUE_MATCH=FAMILY)
    try:
        yield private
    finally:
        private.kill()
        slay_all(private.home)
        shutil.rmtree(private.home)


def emergency(daemon: PrivateDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobkeep.cli", "--socket", str(daemon.socket), "emergency", "--json", *words]
    return subprocess.run(
        command, env=daemon._environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def under_way(daemon: PrivateDaemon) -> tuple[str, str]:
    """A job that ignores TERM and has a child without a cookie, and one that waits behind it."""
    with daemon.start() as jk:
        running, waiting = jk.run(["sh", "-c", DEAF]), jk.run(["true"])
        deadline = time.monotonic() + PATIENCE
        while sum("sleep" in command for command in processes_of(daemon.home).values()) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    return running.id, waiting.id


@contextmanager
def strayed(daemon: PrivateDaemon) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the configured family that nobody owns."""
    shutil.copy(shutil.which("sleep") or "/bin/sleep", daemon.home / FAMILY)
    stray = subprocess.Popen([daemon.home / FAMILY, "600"], start_new_session=True)
    try:
        yield stray
    finally:
        stray.kill()
        stray.wait()


def test_a_daemon_that_hangs_is_ended_with_all_that_it_manages(daemon: PrivateDaemon) -> None:
    """Ends are on record as they were; what waited waits on, in a paused queue; a look says the same before."""
    running, waiting = under_way(daemon)
    with strayed(daemon) as stray:
        os.kill(daemon.pid, signal.SIGSTOP)
        hung = daemon.pid
        look = json.loads(emergency(daemon, "--dry-run").stdout)
        assert (look["daemon"], look["runs"], look["killed_count"]) == ([hung], 1, 0)
        assert {each["action"] for each in look["processes"] if each["pid"] == stray.pid} == {"would_kill"}
        assert stray.poll() is None
        done = emergency(daemon, "--yes", "--reason", "a test")
        report = json.loads(done.stdout)
        assert (done.returncode, report["daemon"], report["runs"], report["survivors"]) == (0, [hung], 1, [])
        would = {each["pid"] for each in look["processes"] if each["action"] == "would_kill"}
        assert not any(is_alive(pid) for pid in would)
        assert stray.wait(PATIENCE) < 0
    daemon.kill()
    assert processes_of(daemon.home) == {}
    with daemon.start() as jk:
        ended = jk.job(running).info()
        assert (ended.state, ended.outcome and ended.outcome.signal) == ("cancelled", 9)
        assert jk.job(waiting).info().state == "queued"
        assert "emergency: a test" in str(jk.job(waiting).explain())
        events = [event for event in jk.events(after=0) if event.kind == "emergency"]
        assert [(event.by and event.by.uid, event.data["runs"]) for event in events] == [(os.getuid(), 1)]


def test_without_a_daemon_and_without_a_store_processes_still_end(daemon: PrivateDaemon) -> None:
    """It says that nothing is on record. What is not known by its slot is not touched."""
    under_way(daemon)
    daemon.kill()
    for path in (daemon.home / "state").glob("jobs.sqlite*"):
        path.write_bytes(b"garbage" * 1000)
    done = emergency(daemon, "--yes")
    report = json.loads(done.stdout)
    assert (done.returncode, report["daemon"], report["survivors"]) == (0, [], [])
    assert "jobs.sqlite" in report["unrecorded"]
    assert report["killed_count"] >= 3
    assert processes_of(daemon.home) == {}


def test_a_socket_that_nobody_listens_on_is_not_taken_for_the_default_daemon_s(daemon: PrivateDaemon) -> None:
    """What would be ended then is another daemon than was meant."""
    other = PrivateDaemon(daemon.home / "other")
    other.socket.parent.mkdir(parents=True)
    other.socket.touch()
    with daemon.start():
        command = [sys.executable, "-m", "jobkeepd", "emergency", "--socket", str(other.socket)]
        done = subprocess.run(command, env=daemon._environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"no daemon listens on {other.socket}" in done.stderr
        assert "--config" in done.stderr
        assert is_alive(daemon.pid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_may_not(daemon: PrivateDaemon) -> None:
    """Though he can see the socket."""
    with daemon.start():
        for path in (daemon.home, daemon.home / "run", daemon.socket):
            path.chmod(0o777)
        script = "import os, sys; from jobkeepd.commands import emergency; os.setgroups([]); os.setgid(65534);"
        script += " os.setuid(65534); sys.exit(emergency.run(sys.argv[1:]))"
        command = [sys.executable, "-c", script, "--socket", str(daemon.socket)]
        done = subprocess.run(command, env=daemon._environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 6, done.stderr
        assert "an emergency is for" in done.stderr
        assert is_alive(daemon.pid)


def test_it_asks_first_and_needs_a_terminal_for_that(daemon: PrivateDaemon) -> None:
    """A script says --yes."""
    done = emergency(daemon)
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_as_root_it_becomes_the_daemon_s_user(daemon: PrivateDaemon) -> None:
    """So that the files which it writes can be opened by the next daemon."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    for path in (daemon.home / "run", daemon.home / "state"):
        path.mkdir(mode=0o700)
        os.chown(path, 12345, 12345)
    daemon.home.chmod(0o755)
    done = emergency(daemon, "--yes")
    assert done.returncode == 0, done.stderr
    made = [Path(folder, name) for folder, _, names in os.walk(daemon.home / "state") for name in names]
    assert made
    assert {path.stat().st_uid for path in made} == {12345}


def test_the_client_library_has_no_such_call() -> None:
    """It would go through a daemon, which may hang."""
    assert not hasattr(jobkeep.BlockingClient, "emergency")
