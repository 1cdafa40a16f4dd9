"""A per-user daemon is started where none answers."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import jobkeep
from jobkeep.cli.failures import of_client
from jobkeep.client import autostart
from jobkeep.client.autostart import answers, refused, start_daemon
from jobkeep.paths import user_socket

PATIENCE_S = 60.0
# Answers GetInfo on $JOBKEEP_DAEMON_SOCKET; each start adds its pid to a file.
DAEMON = """
import os, socket, sys
path = os.environ["JOBKEEP_DAEMON_SOCKET"]
assert os.getsid(0) != int(os.environ["CALLERS_SESSION"]) and "JOBKEEP_SOCKET" not in os.environ
with open(os.environ["HOME"] + "/pids", "a") as file:
    file.write(f"{os.getpid()}\\n")
os.makedirs(os.path.dirname(path), exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
while True:
    connection, _ = listener.accept()
    if connection.recv(65536):
        connection.sendall(b'{"parameters":{}}\\0')
    connection.close()
"""


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    monkeypatch.setattr(autostart, "refused", lambda environ: None)
    yield {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "CALLERS_SESSION": str(os.getsid(0))}
    if (tmp_path / "pids").exists():
        for pid in (tmp_path / "pids").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_a_daemon_is_started_and_answers(environ: dict[str, str]) -> None:
    """The call returns the socket once the daemon answers, which is no child of ours."""
    path = start_daemon(environ=environ, command=[sys.executable, "-c", DAEMON], timeout_s=PATIENCE_S)

    assert path == user_socket(environ)
    assert answers(path)
    pid = int((Path(environ["HOME"]) / "pids").read_text())
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    assert not has_descriptor_of(pid)


def has_descriptor_of(pid: int) -> bool:
    """This process has a pidfd of that one."""
    for descriptor in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of this very look
            if f"\nPid:\t{pid}\n" in descriptor.read_text():
                return True
    return False


def test_two_at_once_start_one(environ: dict[str, str]) -> None:
    """Whoever is second finds the daemon of the first."""
    with ThreadPoolExecutor(4) as pool:
        starts = [
            pool.submit(start_daemon, environ=environ, command=[sys.executable, "-c", DAEMON], timeout_s=PATIENCE_S)
            for _ in range(4)
        ]
        found = {start.result() for start in starts}

    assert found == {user_socket(environ)}
    assert len((Path(environ["HOME"]) / "pids").read_text().split()) == 1


def test_a_daemon_that_ends_at_once_is_quoted(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are part of the error, those of earlier starts are not."""
    monkeypatch.setattr(autostart, "_RIVAL_S", 0.05)
    log = Path(environ["HOME"]) / ".local/state/jobkeep/daemon.log"
    log.parent.mkdir(parents=True)
    log.write_text("old words\n")

    script = "echo first >&2; echo bad configuration >&2; echo hint: our own is better >&2"

    with pytest.raises(jobkeep.NoDaemon, match="ended at once: bad configuration$") as caught:
        start_daemon(environ=environ, command=["/bin/sh", "-c", script], timeout_s=PATIENCE_S)

    assert caught.value.hint == f"see {log}"


def test_a_daemon_that_is_set_up_wrongly_says_what_is_wrong(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of its own: the mistake is the caller's, and no daemon has failed."""
    monkeypatch.setattr(autostart, "_RIVAL_S", 0.05)
    environ = {**environ, "JOBKEEP_LOCKS_TTL": "abc"}

    with pytest.raises(jobkeep.BadConfiguration, match="JOBKEEP_LOCKS_TTL = 'abc': not a duration") as caught:
        start_daemon(environ=environ, timeout_s=PATIENCE_S)

    assert of_client(caught.value).code == 2
    assert caught.value.hint == "jobkeep daemon check-config tells all that is wrong"


def test_a_daemon_that_never_answers_is_given_up(environ: dict[str, str]) -> None:
    """The wait is bounded."""
    script = "import os, time; open(os.environ['HOME'] + '/pids', 'w').write(str(os.getpid())); time.sleep(100)"

    with pytest.raises(jobkeep.NoDaemon, match="does not answer in time"):
        start_daemon(environ=environ, command=[sys.executable, "-c", script], timeout_s=0.5)
    pids = Path(environ["HOME"]) / "pids"
    assert not any(map(has_descriptor_of, map(int, pids.read_text().split() if pids.exists() else ())))


def test_where_the_daemon_is_not_installed_the_hint_says_how(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client alone cannot start one."""
    monkeypatch.setattr(autostart, "find_spec", lambda name: None)

    with pytest.raises(jobkeep.NoDaemon) as caught:
        start_daemon(environ=environ)

    assert caught.value.hint == "pip install 'jobkeep[daemon]'"


def proc(tmp_path: Path, init: str, cgroup: str) -> str:
    (tmp_path / "1").mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "1/comm").write_text(init + "\n")
    (tmp_path / "self/cgroup").write_text(f"0::{cgroup}\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("uid", "init", "cgroup", "invocation", "allowed"),
    [
        (1000, "systemd", "/user.slice/user-1000.slice/session-1.scope", False, True),
        (1000, "systemd", "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", True, True),
        (1000, "systemd", "/system.slice/x.service", True, False),
        (0, "systemd", "/user.slice/user-0.slice/session-1.scope", False, False),
        (0, "sh", "/", False, True),
        (0, "sh", "/", True, False),
        (1000, "tini", "/", False, True),
    ],
)
def test_no_daemon_is_started_from_a_service_or_by_root(
    tmp_path: Path, uid: int, init: str, cgroup: str, invocation: bool, allowed: bool
) -> None:
    """A login may start one, a system service may not, and root only where PID 1 is not systemd."""
    environ = {"INVOCATION_ID": "1"} if invocation else {}

    assert (refused(environ, uid=uid, proc=proc(tmp_path, init, cgroup)) is None) == allowed
