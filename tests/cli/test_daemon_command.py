"""daemon start, status and stop; version."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon
from jobkeep import __version__
from jobkeep.errors import NoDaemon

GONE = (1 << 22) + 7  # above the highest pid there can be


def status(daemon: FakeDaemon, pid: int = GONE, **fields: Any) -> dict[str, Any]:
    return {
        "version": "9.9", "pid": pid, "uptime_s": 7200.0, "protocol": 1,
        "jobs": {"running": 2, "failed": 1, "queued": 0},
        "queues": {"default": {"limit": 4, "running": 2, "queued": 0}}, "locks": 0, "sessions": 0,
        "sqlite_version": "3.51.3", "rss_bytes": 40 << 20, "socket": daemon.path, "state_dir": "/var/lib/x\x1b",
        "runtime_dir": "/run/x", "database_epoch": "e", "epoch": 3, **fields,
    }  # fmt: skip


STATUS = """\
  version   9.9 (protocol 1)
  pid       4194311
  up for    2.0 h
  memory    40 MiB
  jobs      2 ▶ running, 1 ✗ failed
  locks     0
  sessions  0
  socket    {socket}
  state     /var/lib/x\\x1b
  sqlite    3.51.3

  QUEUE    RUNNING  QUEUED  LIMIT
  default  2        0       4
"""


def test_status_is_a_table(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Or the wire's own JSON."""
    daemon.answers["Status"] = status(daemon)

    assert jobkeep("daemon", "status").out == STATUS.format(socket=daemon.path)
    assert jobkeep("daemon", "status", "--json").json == status(daemon)


@pytest.mark.parametrize("action", ["status", "stop"])
def test_nothing_is_started_to_be_looked_at(
    jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch, folder: str, action: str
) -> None:
    """Exit code 4 without a daemon, even where one could be started."""
    monkeypatch.delenv("JOBKEEP_SOCKET")
    monkeypatch.setenv("JOBKEEP_AUTOSTART", "1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    monkeypatch.setattr("jobkeep.client.autostart.start_daemon", lambda **_: pytest.fail("started"))
    done = jobkeep("daemon", action)

    assert done.code == 4
    assert "hint: " in done.err


@pytest.mark.parametrize("line", [["ls"], ["run", "-d", "true"]])
def test_other_commands_start_one_where_none_answers(
    jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch, folder: str, line: list[str]
) -> None:
    """The user's own, unless a socket is named or JOBKEEP_AUTOSTART is 0."""
    monkeypatch.delenv("JOBKEEP_SOCKET")
    monkeypatch.setenv("XDG_RUNTIME_DIR", f"{folder}/none")
    monkeypatch.setattr("jobkeep.paths.SYSTEM_SOCKET", f"{folder}/system")
    started: list[FakeDaemon] = []

    def start(**_: object) -> str:
        daemon = FakeDaemon(f"{folder}/own")
        daemon.answers.update(List={"jobs": []}, Submit={"id": "k", "state": "queued", "created": True})
        started.append(daemon)
        return daemon.path

    monkeypatch.setattr("jobkeep.client.autostart.start_daemon", start)

    assert jobkeep(*line).code == 4
    monkeypatch.setenv("JOBKEEP_AUTOSTART", "1")
    assert jobkeep(*line).code == 0
    assert len(started) == 1
    started[0].close()


def test_start_leaves_a_daemon_alone_that_answers(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 0, and its pid."""
    daemon.answers["Status"] = status(daemon)
    done = jobkeep("daemon", "start")

    assert (done.code, done.out) == (0, f"a daemon answers already: pid {GONE}, socket {daemon.path}\n")
    assert jobkeep("daemon", "start", "--json").json == {"pid": GONE, "socket": daemon.path, "started": False}


def test_start_starts_one(jobkeep: Jobkeep, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the socket that was asked for; it prints pid and socket once it answers."""
    started: list[FakeDaemon] = []

    def start(*, socket: str) -> str:
        daemon = FakeDaemon(socket)
        daemon.answers["Status"] = status(daemon, pid=77)
        started.append(daemon)
        return socket

    monkeypatch.setattr("jobkeep.client.autostart.start_daemon", start)
    done = jobkeep("--socket", f"{folder}/new", "daemon", "start")
    started[0].close()

    assert (done.code, done.out) == (0, f"started: pid 77, socket {folder}/new\n")


@pytest.mark.parametrize("folder_is_there", [True, False])
def test_start_says_that_the_named_socket_is_the_trouble(
    jobkeep: Jobkeep, daemon: FakeDaemon, folder: str, monkeypatch: pytest.MonkeyPatch, folder_is_there: bool
) -> None:
    """Another one of the user's daemons runs already, or there is no such folder."""

    def refuse(*, socket: str) -> str:
        raise NoDaemon(socket, "jobkeepd was started and ended at once: hint: look elsewhere")

    socket = f"{folder}/nowhere" if folder_is_there else f"{folder}/none/x"
    monkeypatch.setenv("JOBKEEP_SOCKET", socket)
    monkeypatch.setattr("jobkeep.client.autostart.start_daemon", refuse)
    monkeypatch.setattr("jobkeep.paths.user_socket", lambda _: daemon.path)
    done = jobkeep("daemon", "start")

    assert done.code == 4
    assert done.err.startswith(f"jobkeep: JOBKEEP_SOCKET names {socket}, ")
    assert ("there is no folder" in done.err) == (not folder_is_there)
    assert (f"your daemon runs already, on {daemon.path}" in done.err) == folder_is_there


def test_stop_returns_when_the_process_is_gone(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """It waits for the pid as well as for the socket, and says that jobs go on."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    daemon.answers["Status"] = status(daemon, pid=process.pid)

    def stop(_: object) -> dict[str, Any]:
        daemon.answers["Status"] = status(daemon, pid=GONE)  # its successor
        process.kill()
        return {"pid": process.pid}

    daemon.answers["Stop"] = stop
    done = jobkeep("daemon", "stop")
    process.communicate()

    assert (done.code, done.out) == (0, f"stopped: pid {process.pid}; 2 running jobs go on\n")


def test_stop_does_not_wait_for_ever(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that does not end is a failure."""
    monkeypatch.setattr("jobkeep.cli.commands.daemon.STOP_PATIENCE", 0.05)
    daemon.answers.update(Status=status(daemon), Stop={"pid": GONE})
    done = jobkeep("daemon", "stop")

    assert done.code == 1
    assert "has not ended within" in done.err


def test_version_asks_a_daemon_only_if_there_is_one(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0 either way."""
    daemon.answers["Status"] = status(daemon)
    assert jobkeep("version").out == f"jobkeep {__version__}\njobkeepd 9.9\n"
    assert jobkeep("--version").out == f"jobkeep {__version__}\njobkeepd 9.9\n"

    monkeypatch.setenv("JOBKEEP_SOCKET", "/nonexistent")
    assert jobkeep("version", "--json").json == {"client": __version__, "daemon": None}
