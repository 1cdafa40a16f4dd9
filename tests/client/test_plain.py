"""What fast commands are made of: paths, durations, the plain connection, imports."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jobkeep
from jobkeep import paths
from jobkeep.client.finding import find
from jobkeep.client.plain import PlainConnection
from jobkeep.protocol.durations import to_seconds

from .fake_daemon import Drop, FakeDaemon, event


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("3.5h", 12600), ("2d", 172800), ("1h30m", 5400), ("1h 30m", 5400), ("250ms", 0.25),
     ("1w", 604800), ("7", 7), (" 1.5 ", 1.5), (0, 0), (2.5, 2.5), (timedelta(minutes=1), 60)],
)  # fmt: skip
def test_a_duration_is_read_as_people_write_it(text: Any, seconds: float) -> None:
    """Numbers are seconds; text has units, which add up."""
    assert to_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1y", "s", "1h30", "1,5h", "٣s", -1, float("nan"), "400d", "1e3"])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    """Nothing is guessed, and no duration is negative or beyond a year."""
    with pytest.raises(ValueError, match="duration"):
        to_seconds(text)


@given(st.floats(0, 366 * 86400.0))
def test_numbers_are_seconds(value: float) -> None:
    """Every number in range stays as it is."""
    assert to_seconds(value) == value


def test_sockets_are_tried_in_order() -> None:
    """A socket that is named is the only one; else the user's goes before the system's."""
    environ = {"JOBKEEP_SOCKET": "/named", "XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/home/u"}

    assert paths.candidates("/explicit", environ) == ["/explicit"]
    assert paths.candidates(None, environ) == ["/named"]
    del environ["JOBKEEP_SOCKET"]
    assert paths.candidates(None, environ) == ["/run/user/7/jobkeep/socket", "/run/jobkeep/socket"]


def test_without_a_runtime_directory_the_socket_is_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """/run/user/UID is used if it is ours, else the state directory; relative XDG paths are ignored."""
    monkeypatch.setattr(paths, "_is_ours", lambda folder: False)
    assert paths.user_socket({"HOME": "/home/u"}) == "/home/u/.local/state/jobkeep/run/socket"
    assert paths.user_socket({"HOME": "/home/u", "XDG_STATE_HOME": "/s/"}) == "/s/jobkeep/run/socket"
    assert paths.user_socket({"HOME": "/home/u", "XDG_STATE_HOME": "s", "XDG_RUNTIME_DIR": "r"}).startswith("/home/u/")

    monkeypatch.setattr(paths, "_is_ours", lambda folder: folder == f"/run/user/{os.getuid()}")
    assert paths.user_socket({}) == f"/run/user/{os.getuid()}/jobkeep/socket"


def test_a_path_that_no_socket_can_have_is_named_as_such() -> None:
    """The kernel's limit is 107 bytes, not characters."""
    assert paths.fits("/" + "x" * 106)
    assert not paths.fits("/" + "ü" * 54)
    with pytest.raises(jobkeep.DaemonUnreachable, match="108 bytes") as caught:
        PlainConnection("/" + "x" * 107)
    assert caught.value.hint


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_a_plain_call_returns_the_whole_reply(tmp_path: Path, chunk: int | None) -> None:
    """However the bytes are cut; streams end with their last reply."""
    daemon = FakeDaemon(str(tmp_path / "s"), chunk)
    daemon.on("Admin.Status", {"pid": 7})
    daemon.on("Jobs.Events", [event(1), event(2), {}])

    connection = PlainConnection(daemon.path, 5.0)

    assert connection.call("org.jobkeep.Admin.Status", b"{}") == b'{"parameters": {"pid": 7}}'
    assert len(list(connection.stream("org.jobkeep.Jobs.Events", b'{"follow":true}'))) == 3
    assert connection.call("org.jobkeep.Admin.Status") == b'{"parameters": {"pid": 7}}'
    connection.close()
    daemon.stop()


def test_why_nobody_answers_is_said(tmp_path: Path) -> None:
    """No socket, a socket without listener, a lost connection and silence are told apart."""
    path = str(tmp_path / "s")
    with pytest.raises(jobkeep.DaemonUnreachable, match="no such socket"):
        PlainConnection(path)
    (tmp_path / "file").touch()
    with pytest.raises(jobkeep.DaemonUnreachable, match="nobody listens"):
        PlainConnection(str(tmp_path / "file"))

    daemon = FakeDaemon(path)
    go = threading.Event()
    daemon.on("Admin.Status", Drop())
    daemon.on("Admin.Stop", lambda called: {"waited": go.wait(60)})
    with pytest.raises(jobkeep.ConnectionLost, match="closed the connection"):
        PlainConnection(path, 5.0).call("org.jobkeep.Admin.Status")
    with pytest.raises(jobkeep.ConnectionLost, match=r"no answer within 0\.05 s"):
        PlainConnection(path, 0.05).call("org.jobkeep.Admin.Stop")
    go.set()
    daemon.stop()


def test_the_first_socket_that_answers_is_taken(daemon: FakeDaemon, tmp_path: Path) -> None:
    """The user's socket is passed over when nobody listens there; nothing is started if that is off."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "none"), "HOME": str(tmp_path), "JOBKEEP_AUTOSTART": "0"}

    assert find(daemon.path, environ=environ) == daemon.path
    assert find(environ={**environ, "JOBKEEP_SOCKET": daemon.path}) == daemon.path
    with pytest.raises(jobkeep.NoDaemon, match="no such socket") as caught:
        find(environ=environ)
    assert caught.value.hint == "start one with: jobkeep daemon start"
    with pytest.raises(jobkeep.DaemonUnreachable):
        find(str(tmp_path / "nowhere"))


def imported_by(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


HEAVY = {"msgspec", "asyncio", "anyio", "trio", "typing", "subprocess", "ssl", "logging", "inspect", "dataclasses"}


@pytest.mark.parametrize("code", ["import jobkeep", "from jobkeep.client.plain import PlainConnection"])
def test_importing_is_cheap(code: str) -> None:
    """Neither the package nor the plain connection imports anything heavy."""
    loaded = imported_by(code) - imported_by("pass")

    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_every_exported_name_is_there() -> None:
    """What the package promises can be had, and what it does not is an AttributeError."""
    for name in jobkeep.__all__:
        assert getattr(jobkeep, name) is not None
    assert set(jobkeep.__all__) <= set(dir(jobkeep))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        jobkeep.nothing_like_it  # noqa: B018
