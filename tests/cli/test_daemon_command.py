"""daemon start, status and stop; version."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Hangup
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
    for file, shown in [("/etc/jobkeep.toml", "/etc/jobkeep.toml"), (None, "no file: defaults, and the environment")]:
        daemon.answers["Status"] = {**daemon.answers["Status"], "config": file}
        assert f"\n  config    {shown}\n" in jobkeep("daemon", "status").out


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
    monkeypatch.setattr("jobkeep.cli.commands.daemon_stop.STOP_PATIENCE", 0.05)
    daemon.answers.update(Status=status(daemon), Stop={"pid": GONE})
    done = jobkeep("daemon", "stop")

    assert done.code == 1
    assert "has not ended within" in done.err


def drained(**fields: Any) -> dict[str, Any]:
    return {
        "draining": True, "drained": True, "since": "2026-03-01T11:40:00Z", "interrupted": [], "ended": [],
        "running": [], **fields,
    }  # fmt: skip


def run(id: str, outcome: str | None, kind: str = "function", waited_for: bool = True) -> dict[str, Any]:
    return {"id": id, "name": f"n{id}", "kind": kind, "run": 1, "outcome": outcome, "waited_for": waited_for}


def test_drain_tells_what_became_of_each_run(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """A sentence, then a row for each; or the wire's own JSON."""
    daemon.answers["Drain"] = reply = drained(
        interrupted=[run("a", "interrupted")],
        ended=[run("b", "failed")],
        running=[run("c", None, "command", waited_for=False)],
    )
    done = jobkeep("daemon", "drain", "--commands", "leave")

    assert done.code == 0
    assert done.out == (
        "drained, but 1 command goes on\n\n"
        "  ID  RUN            NAME\n"
        "  a   ⊘ interrupted  na    queued again\n"
        "  b   ✗ failed       nb\n"
        "  c   ▶ running      nc    not waited for\n"
    )
    assert daemon.called("Drain") == [{"commands": "leave", "timeout_s": 0.0}]
    assert jobkeep("daemon", "drain", "--json").json == reply


def test_drain_waits_within_bounds_and_says_for_what(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 124 when something still runs then; -q prints the ids of that."""
    running = [run("a", None), run("b", None), run("c", None, "command")]
    daemon.answers["Drain"] = drained(drained=False, running=running)
    done = jobkeep("daemon", "drain", "--timeout", "2m")

    assert done.code == 124
    assert done.err == "jobkeep: draining: waiting for 2 functions to reach a checkpoint and 1 command to end\n"
    assert done.out.startswith("not drained: 3 runs go on; the daemon starts no others\n")
    assert "has not reached a checkpoint" in done.out
    assert daemon.called("Drain")[1:] == [{"commands": "wait", "timeout_s": 120.0}]
    assert jobkeep("-q", "daemon", "drain").out == "a\nb\nc\n"


def test_a_drain_that_waits_for_nothing_says_nothing(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """The daemon needs a moment also where nothing runs."""
    replies = iter([drained(drained=False), drained()])
    daemon.answers["Drain"] = lambda _: next(replies)
    done = jobkeep("daemon", "drain")

    assert (done.code, done.err) == (0, "")


def test_drain_is_called_off(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """And says whether there was anything to call off."""
    daemon.answers["Undrain"] = {"drained": True}
    assert jobkeep("daemon", "drain", "--off").out == "jobs are started again\n"
    daemon.answers["Undrain"] = {"drained": False}
    assert jobkeep("daemon", "drain", "--off").out == "the daemon was not draining\n"
    assert jobkeep("daemon", "drain", "--off", "--json").json == {"draining": False, "was_draining": False}


def test_drain_is_not_asked_of_the_next_daemon(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Whoever started that one wants jobs to run."""

    def die(_: object) -> dict[str, Any]:
        raise Hangup

    daemon.answers["Drain"] = die
    done = jobkeep("daemon", "drain")

    assert (done.code, len(daemon.called("Drain"))) == (4, 1)
    assert done.err.startswith("jobkeep: the daemon has ended while it drained: ")


@pytest.mark.parametrize(
    "line",
    [
        ["status", "--off"],
        ["stop", "--commands", "wait"],
        ["drain", "--off", "--timeout", "3s"],
        ["drain", "--commands", "x"],
    ],
)
def test_what_makes_no_sense_is_refused(jobkeep: Jobkeep, daemon: FakeDaemon, line: list[str]) -> None:
    """Exit code 2, and nothing is asked."""
    done = jobkeep("daemon", *line)

    assert (done.code, daemon.calls) == (2, [])


def test_a_status_shows_that_the_daemon_drains(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """And how to end that."""
    daemon.answers["Status"] = status(daemon, draining=True, draining_since="2026-03-01T11:40:00Z")

    line = "  draining  since 2026-03-01T11:40:00Z: no job is started; jobkeep daemon drain --off ends that\n"
    assert line in jobkeep("daemon", "status").out


def test_stop_waits_for_a_daemon_that_drains_before_its_end(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as that says it may take."""
    monkeypatch.setattr("jobkeep.cli.commands.daemon_stop.STOP_PATIENCE", 0.05)
    daemon.answers.update(Status=status(daemon), Stop={"pid": GONE, "within_s": 0.2})

    assert "has not ended within 0.25 s" in jobkeep("daemon", "stop").err


def test_version_asks_a_daemon_only_if_there_is_one(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0 either way."""
    daemon.answers["Status"] = status(daemon)
    assert jobkeep("version").out == f"jobkeep {__version__}\njobkeepd 9.9\n"
    assert jobkeep("--version").out == f"jobkeep {__version__}\njobkeepd 9.9\n"

    monkeypatch.setenv("JOBKEEP_SOCKET", "/nonexistent")
    assert jobkeep("version", "--json").json == {"client": __version__, "daemon": None}
