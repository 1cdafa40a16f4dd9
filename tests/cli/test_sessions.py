"""Sessions on the command line: listed, closed, and opened for a command; what it says where that is impossible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault

USER = {"kind": "client", "job": None, "run": None, "pid": 4711, "uid": 1000}


def session(name: str = "browser", **fields: Any) -> dict[str, Any]:
    """As the daemon tells it."""
    return {
        "name": name, "state": "ready", "pid": 815, "in_use_by": None, "started_at": "2026-03-01T11:48:00Z",
        "health": "ok", "reason": None, "info": {}, "job": "k3x9a0b1c2d3", "waiting": 0, **fields,
    }  # fmt: skip


OPENED = {"lock": "session:browser", "token": 7, "ttl_s": 60.0, "session": session(state="in_use", in_use_by=USER)}
DEAD = {"state": "dead", "pid": None, "started_at": None, "health": "unknown", "reason": "exit code 3\x1b[2J"}


def raising(fault: Fault) -> Callable[[dict[str, Any]], None]:
    def answer(asked: dict[str, Any]) -> None:
        raise fault

    return answer


@pytest.mark.parametrize("line", [("session", "ls"), ("session",)])
def test_sessions_are_listed_with_who_uses_them(jobkeep: Jobkeep, daemon: FakeDaemon, line: tuple[str, ...]) -> None:
    """A dead one says why, with nothing in it that steers a terminal."""
    listed = [session(state="in_use", in_use_by=USER, waiting=2), session("other", **DEAD)]
    daemon.answers["List"] = {"sessions": listed}
    done = jobkeep(*line)
    rows = [row.split() for row in done.out.splitlines()]
    assert done.code == 0
    assert rows[0] == ["NAME", "STATE", "PID", "USED", "BY", "WAITING", "SINCE", "JOB", "HEALTH"]
    assert rows[1][:9] == ["browser", "▶", "in_use", "815", "process", "4711", "(uid", "1000)", "2"]
    assert rows[1][9:] == ["2026-03-01T11:48:00Z", "k3x9a0b1", "ok"]
    assert rows[2][:4] == ["other", "✗", "dead", "k3x9a0b1"]
    assert "\x1b" not in done.out


def test_sessions_are_listed_for_programs(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """One object per line, or names alone."""
    daemon.answers["List"] = {"sessions": [session(), session("other")]}
    assert jobkeep("session", "ls", "--json").rows == [session(), session("other")]
    assert jobkeep("session", "ls", "-q").out == "browser\nother\n"
    daemon.answers["List"] = {"sessions": []}
    assert jobkeep("session").err == "jobkeep: no session is configured\n"
    none = jobkeep("session", "ls", "--json")  # no object, no line; people who look are told
    assert (none.out, none.err) == ("", "jobkeep: no session is configured\n")
    assert jobkeep("session", "ls", "-q").err == ""


def test_a_session_is_closed_and_one_that_is_in_use_says_how(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 5, and a hint at --force."""
    daemon.answers["Close"] = {"session": session(state="closed"), "ended": "k3x9a0b1c2d3"}
    done = jobkeep("session", "close", "browser", "--reason", "upgrade")
    assert (done.code, done.out) == (0, "browser  closed\n")
    assert daemon.called("Close") == [{"name": "browser", "force": False, "reason": "upgrade"}]
    said = {"name": "browser", "since_s": 720.0, "kind": "client", "job": None, "pid": 4711, "uid": 1000}
    message = "the session browser is in use by process 4711 of user 1000"
    daemon.answers["Close"] = raising(Fault("org.jobkeep.Sessions.SessionInUse", message=message, **said))
    done = jobkeep("session", "close", "browser")
    hint = "hint: jobkeep session close browser --force ends it all the same"
    assert (done.code, done.err.splitlines()) == (5, [f"jobkeep: {message}; it has had it for 12 min", hint])


def test_a_command_runs_with_the_session_in_its_environment(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """And gives it back when it ends, with its own exit code."""
    daemon.answers["Open"] = {**OPENED, "session": session(info={"url": "http://x"})}
    daemon.answers["Renew"] = lambda asked: {}
    daemon.answers["Release"] = {}
    script = "echo $JOBKEEP_SESSION_PID $JOBKEEP_SESSION_INFO $JOBKEEP_LOCK_TOKEN; exit 3"
    done = jobkeep("session", "open", "browser", "--wait", "5s", "--", "sh", "-c", script)
    assert (done.code, done.out) == (3, '815 {"url": "http://x"} 7\n')
    (asked,) = daemon.called("Open")
    assert (asked["name"], 0 < asked["wait_s"] <= 5) == ("browser", True)
    assert daemon.called("Release") == [{"name": "session:browser", "token": 7}]


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (Fault("org.jobkeep.Sessions.SessionFailed", message="it ends", name="browser", reason="it ends", job="j1"),
         1, "hint: jobkeep logs j1"),
        (Fault("org.jobkeep.Sessions.UnknownSession", message="none", name="browser", known=[]),
         3, "hint: jobkeep session ls"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_had_says_why(
    jobkeep: Jobkeep, daemon: FakeDaemon, error: Fault, code: int, hint: str
) -> None:
    """With a hint at what to look at; the command is not run."""
    daemon.answers["Open"] = raising(error)
    done = jobkeep("session", "open", "browser", "--", "echo", "ran")
    assert (done.code, done.out) == (code, "")
    assert hint in done.err


@pytest.mark.parametrize("line", [("open",), ("open", "--", "true"), ("opne", "x"), ("open", "a b"), ("close",)])
def test_a_command_line_that_is_wrong_is_told(jobkeep: Jobkeep, line: tuple[str, ...]) -> None:
    """Before the daemon is asked."""
    done = jobkeep("session", *line)
    assert done.code == 2
    assert done.err.startswith("jobkeep: session")
