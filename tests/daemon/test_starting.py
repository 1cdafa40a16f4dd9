"""Who may start where, and how it is told when the daemon cannot start or has to end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jobkeep.testing import PrivateDaemon
from jobkeepd.__main__ import main

from .conftest import Cli, command_line, start
from .test_crashes import wait_for

STARTS = 20


@pytest.fixture
def home() -> Iterator[Path]:
    """Short: the path of a Unix socket has at most 107 bytes."""
    with TemporaryDirectory(prefix="jk-") as path:
        yield Path(path)


def surroundings(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
    return {
        **inherited,
        "JOBKEEP_DAEMON_STATE_DIR": str(home / "state"),
        "JOBKEEP_DAEMON_RUNTIME_DIR": str(home / "run"),
    }


def is_refused(ran: subprocess.CompletedProcess[str], status: int, *said: str) -> None:
    assert ran.returncode == status, ran.stderr
    assert ran.stderr.startswith("jobkeepd: cannot start: ")
    assert "Traceback" not in ran.stderr
    for words in said:
        assert words in ran.stderr


def test_a_daemon_with_another_state_directory_does_not_touch_the_runtime_directory(
    daemon: PrivateDaemon, cli: Cli
) -> None:
    """It would take the slots in there for leftovers of its own, and end them."""
    gate = daemon.home / "gate"
    script = f"echo started; while [ ! -e {gate} ]; do sleep 0.01; done"
    job = cli("run", "-d", "--", "sh", "-c", script).stdout.strip()
    ran = start(
        daemon.home / "other", daemon.home / "run", JOBKEEP_DAEMON_SOCKET=str(daemon.home / "run" / "other-socket")
    )
    is_refused(ran, 1, f"{daemon.home}/run is in use by process {daemon.pid}", "hint:")
    assert not (daemon.home / "other" / "jobs.sqlite").exists()
    gate.touch()
    assert cli("wait", job).returncode == 0


def test_a_socket_on_which_somebody_answers_is_left_alone_before_anything_is_recovered(daemon: PrivateDaemon) -> None:
    """Both directories are other ones."""
    other = daemon.home / "other"
    ran = start(other, daemon.home / "elsewhere", JOBKEEP_DAEMON_SOCKET=str(daemon.socket))
    is_refused(ran, 1, f"{daemon.socket} is in use by process {daemon.pid}", "hint:")
    assert not (other / "jobs.sqlite").exists()


RACE = """
import os, signal, sys
from jobkeepd.main import run
home, count = sys.argv[1], int(sys.argv[2])
gate, opening = os.pipe()
children = []
for _ in range(count):
    pid = os.fork()
    if pid == 0:
        os.close(opening)
        said = os.open(f"{home}/said.{os.getpid()}", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 2)
        os.read(gate, 1)
        os._exit(run([]))
    children.append(pid)
os.close(opening)
ended = [os.wait() for _ in range(count - 1)]
winner = (set(children) - {pid for pid, _ in ended}).pop()
while b'"ready"' not in open(f"{home}/said.{winner}", "rb").read():
    pass
os.kill(winner, signal.SIGTERM)
print(winner, *{os.waitstatus_to_exitcode(status) for _, status in [*ended, os.wait()]})
"""


def test_of_many_starts_at_once_one_wins_and_the_others_say_who(home: Path) -> None:
    """Nobody crashes, and nobody is told of a wrong process."""
    race = subprocess.run(
        [sys.executable, "-c", RACE, str(home), str(STARTS)],
        env=surroundings(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    winner, *statuses = map(int, race.stdout.split())
    said = {path.name: path.read_text() for path in home.glob("said.*")}
    assert len(said) == STARTS
    assert '"stopping"' in said.pop(f"said.{winner}")
    assert set(statuses) == {0, 1}
    assert {text.splitlines()[0] for text in said.values()} == {
        f"jobkeepd: cannot start: {home}/state is in use by process {winner}"
    }


def test_a_missing_folder_for_the_socket_is_named(home: Path) -> None:
    """Its parent is not made: it may be a disk that is not mounted."""
    ran = start(home / "s", home / "r", JOBKEEP_DAEMON_SOCKET=str(home / "absent" / "folder" / "socket"))
    is_refused(ran, 2, f"{home}/absent/folder", "No such file or directory", "hint:")


def test_a_folder_of_the_socket_that_is_open_to_all_is_refused(home: Path) -> None:
    """That is a matter of the configuration: exit status 2."""
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    is_refused(start(home / "s", home / "r", JOBKEEP_DAEMON_SOCKET=str(home / "open" / "socket")), 2, "mode 0777")


def test_an_unreadable_file_of_the_state_directory_is_named(home: Path) -> None:
    """A folder in its place: root reads any file."""
    (home / "s" / "secret").mkdir(parents=True, mode=0o700)
    is_refused(start(home / "s", home / "r"), 1, f"{home}/s/secret: Is a directory", "hint:")
    assert not (home / "r" / "socket").exists()


def test_a_missing_configuration_file_is_named(home: Path) -> None:
    """By its path and as what it is."""
    ran = start(home / "s", home / "r", "--config", str(home / "absent.toml"))
    is_refused(ran, 2, f"configuration file {home}/absent.toml: No such file or directory")


def test_help_says_where_the_configuration_comes_from(home: Path) -> None:
    """There is no default file."""
    ran = start(home / "s", home / "r", "--help")
    assert ran.returncode == 0
    for words in ("--config FILE", "JOBKEEP_<SECTION>_<KEY>", "config.toml", "SIGTERM"):
        assert words in ran.stdout


def test_closed_standard_streams_are_no_descriptors_for_sockets(home: Path) -> None:
    """What is opened first would get their numbers, and a log line would go to a client."""
    command = ["sh", "-c", f"exec {sys.executable} -m jobkeepd <&- >&- 2>&-"]
    with subprocess.Popen(command, env=surroundings(home)) as process:
        try:
            wait_for(lambda: command_line(home / "run/socket", home, "daemon", "status").returncode == 0)
            streams = {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)}
        finally:
            process.terminate()
    assert streams == {"/dev/null"}
    assert process.returncode == 0


SABOTAGE = """
import anyio
from jobkeepd import main
from jobkeepd.errors import StorageFailed
async def sabotage(self, pool):
    {deed}
main.Daemon._keep_trimming = sabotage
raise SystemExit(main.run([]))
"""


def sabotaged(home: Path, deed: str) -> subprocess.CompletedProcess[str]:
    """A daemon to which `deed` happens while it serves."""
    return subprocess.run(
        [sys.executable, "-c", SABOTAGE.format(deed=deed)],
        env=surroundings(home),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "deed",
    [
        "raise StorageFailed('the disk is gone')",
        "self._fail(StorageFailed('the disk is gone')); raise StorageFailed('the disk is gone')",
    ],
    ids=["raised", "reported and raised"],
)
def test_a_failed_store_ends_the_daemon_with_one_event(home: Path, deed: str) -> None:
    """Status 1, every line of the log a JSON object, no traceback."""
    ran = sabotaged(home, deed)
    assert ran.returncode == 1
    errors = [event for event in map(json.loads, ran.stderr.splitlines()) if event["level"] == "error"]
    assert [(event["event"], event["error"]) for event in errors] == [("store_failed", "the disk is gone")]
    assert not (home / "run" / "socket").exists()


def test_an_unexpected_error_is_one_event_with_its_traceback(home: Path) -> None:
    """And status 1: whoever supervises the daemon starts it again."""
    ran = sabotaged(home, "raise RuntimeError('a bug')")
    assert ran.returncode == 1
    errors = [event for event in map(json.loads, ran.stderr.splitlines()) if event["level"] == "error"]
    assert [event["event"] for event in errors] == ["crashed"]
    assert re.search(r"in sabotage.*RuntimeError: a bug", errors[0]["exception"])


def test_a_log_that_cannot_be_written_ends_nothing(home: Path) -> None:
    """The disk with the log is full, or whoever read it has gone."""
    with open("/dev/full", "wb") as full, subprocess.Popen(
        [sys.executable, "-m", "jobkeepd"], env=surroundings(home), stderr=full
    ) as process:
        try:
            wait_for(lambda: (home / "run/socket").exists())
            done = command_line(home / "run/socket", home, "run", "--", "true")
        finally:
            process.terminate()
    assert done.returncode == 0
    assert process.returncode == 0


def test_a_service_manager_that_reads_nothing_does_not_hold_the_daemon_up(home: Path) -> None:
    """Its queue is full: the message is dropped."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(home / "notify"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.sendto(b"x", str(home / "notify"))
        code = "from jobkeepd.notify import notify; notify('READY=1')"
        environment = {**os.environ, "NOTIFY_SOCKET": str(home / "notify")}
        subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=True)


def test_an_interrupted_start_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the daemon serves; later it ends by it as by SIGTERM."""

    def interrupted(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobkeepd.main.run", interrupted)
    assert main() == 130
