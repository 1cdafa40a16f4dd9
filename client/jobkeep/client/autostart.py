"""Starts the per-user daemon in the background and waits until it answers. Standard library only."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic, sleep

from jobkeep import paths
from jobkeep.client.plain import PlainConnection
from jobkeep.errors import BadConfiguration, DaemonUnreachable, NoDaemon

START_S = 10.0
_POLL_S = 0.02
_RIVAL_S = 1.0  # our daemon gave way to another one, which is about to answer
_WRONG = " the configuration is wrong: "  # so jobkeepd says it
_NEEDED = ("jobkeepd", "aiosqlite", "structlog")
# Twice removed from us, so that no caller has a child it does not know of. It prints the daemon's pid.
_SCRIPT = '"$@" </dev/null >/dev/null 2>>"$0" & echo $!'


def start_daemon(
    *,
    socket: str | None = None,
    timeout_s: float = START_S,
    environ: Mapping[str, str] = os.environ,
    command: list[str] | None = None,
) -> str:
    """Start it on the user's socket and return the path once it answers; one that answers already is left alone.

    `command` is by default the jobkeepd of this Python. Of two callers at once one starts it, and both get it.
    Raises NoDaemon when it must not or cannot be started; its last words are in the message.
    """
    path = socket or paths.user_socket(environ)
    refusal = refused(environ)
    if refusal:
        raise NoDaemon(path, refusal, "start the system's: systemctl start jobkeepd, or run jobkeepd yourself")
    argv = command or daemon_command(path)
    state = paths.user_state_dir(environ)
    deadline = monotonic() + timeout_s
    try:
        os.makedirs(state, mode=0o700, exist_ok=True)
        with _one_at_a_time(state + "/autostart.lock", deadline):
            if not answers(path):
                _start(argv, path, state + "/daemon.log", {**environ, "JOBKEEP_DAEMON_SOCKET": path}, deadline)
    except OSError as error:
        raise NoDaemon(path, f"it cannot be started: {error}", "jobkeep doctor says what is wrong there") from error
    return path


def refused(environ: Mapping[str, str], *, uid: int | None = None, proc: str = "/proc") -> str | None:
    """Why no daemon may be started from here: a service's daemon would die with the service, or root's rule all."""
    uid = os.getuid() if uid is None else uid
    if uid == 0 and _read(f"{proc}/1/comm").strip() == "systemd":
        return "root starts none where systemd can"
    in_service = "/system.slice/" in _read(f"{proc}/self/cgroup")
    if environ.get("INVOCATION_ID") and (uid == 0 or in_service):
        return "a system service starts none"
    return None


def is_installed() -> bool:
    """Whether this Python has jobkeepd, with all that it imports."""
    return all(find_spec(module) is not None for module in _NEEDED)


def daemon_command(socket: str) -> list[str]:
    """How to run jobkeepd. Raises NoDaemon where it is not installed."""
    if not sys.executable or not is_installed():
        raise NoDaemon(socket, "jobkeepd is not installed here", "pip install 'jobkeep[daemon]'")
    script = os.path.join(os.path.dirname(sys.executable), "jobkeepd")
    return [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "jobkeepd"]


def answers(path: str) -> bool:
    """Whether a daemon replies there."""
    try:
        connection = PlainConnection(path, 2.0)
        try:
            return b'"error"' not in connection.call("org.varlink.service.GetInfo")
        finally:
            connection.close()
    except DaemonUnreachable:
        return False


def _start(argv: list[str], path: str, log: str, environ: dict[str, str], deadline: float) -> None:
    begin = os.path.getsize(log) if os.path.exists(log) else 0
    environ = {name: value for name, value in environ.items() if name not in ("JOBKEEP_SOCKET", "NOTIFY_SOCKET")}
    launched = subprocess.run(
        ["/bin/sh", "-c", _SCRIPT, log, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=environ,
        check=True,
    )
    with _watched(int(launched.stdout)) as ended:
        while not answers(path):
            if ended():
                deadline = min(deadline, monotonic() + _RIVAL_S)
            if monotonic() >= deadline:
                why, words = "ended at once" if ended() else "does not answer in time", _last_words(log, begin)
                if _WRONG in words:
                    mistakes = f"{_WRONG.strip()} {words.partition(_WRONG)[2]}"
                    raise BadConfiguration(path, mistakes, "jobkeep daemon check-config tells all that is wrong")
                raise NoDaemon(path, f"jobkeepd was started and {why}{words}", f"see {log}")
            sleep(_POLL_S)


@contextmanager
def _watched(pid: int) -> Iterator[Callable[[], bool]]:
    """Whether that process has ended, at any time of the block."""
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, AttributeError) as error:  # with no such call here the deadline alone decides
        is_gone = isinstance(error, ProcessLookupError)
        yield lambda: is_gone
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        yield lambda: bool(poll.poll(0))
    finally:
        os.close(pidfd)


def _last_words(log: str, begin: int) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(begin)
            lines = file.read(1 << 16).decode(errors="replace").split("\n")
    except OSError:
        return ""
    stripped = (line.strip(" |+-") for line in lines)  # groups of exceptions are drawn as trees
    said = [line for line in stripped if line and not line.startswith("hint: ")]
    return f": {said[-1]}" if said else ""


@contextmanager
def _one_at_a_time(path: str, deadline: float) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() >= deadline:
                    raise
                sleep(_POLL_S)
        yield
    finally:
        os.close(lock)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
