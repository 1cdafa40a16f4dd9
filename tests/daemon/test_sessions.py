"""Sessions of a real daemon: real processes, real clients, and both of them killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

import jobkeep
from crash.judges import Door, is_alive, processes_of, slay_all
from jobkeep.testing import PrivateDaemon
from ports import free_port

from .conftest import command_line
from .holders import PATIENCE, PATIENCE_S, until

# Answers HTTP, says so in a file of its own each time it starts, and has a child that hides from it.
SERVER = """
import http.server, os, sys, time
port, folder = int(sys.argv[1]), sys.argv[2]
os.close(os.open(f"{folder}/start.{os.getpid()}", os.O_CREAT | os.O_EXCL))
if os.path.exists(f"{folder}/child"):  # of the session before
    os.unlink(f"{folder}/child")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(f"{folder}/child.new", "w").write(str(os.getpid()))
        os.rename(f"{folder}/child.new", f"{folder}/child")
        os.execve("/bin/sleep", [f"{folder}/sleep", "1000"], {})
    os._exit(0)
os.wait()
while not os.path.exists(f"{folder}/child"):
    time.sleep(0.01)
http.server.HTTPServer.allow_reuse_address = True
http.server.test(http.server.SimpleHTTPRequestHandler, port=port, bind="127.0.0.1")
"""

# A client that has the session until it is killed.
USER = """
import sys, time
import jobkeep
with jobkeep.connect_blocking(sys.argv[1]) as jk, jk.session("web", wait="60s", ttl="1h") as session:
    print(session.pid, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateDaemon]:
    """One for all: whatever a test does to it, the next open works."""
    home = Path(tempfile.mkdtemp(prefix="jk-"))
    port = free_port()
    hangs = {"COMMAND": '["sleep", "1000"]', "HEALTH": '{command = ["sleep", "1000"]}', "HEALTH_TIMEOUT": "0.3s"}
    sessions = {
        "WEB": {
            "COMMAND": json.dumps([sys.executable, "-c", SERVER, str(port), str(home)]),
            "HEALTH": f'{{http = "http://127.0.0.1:{port}/"}}',
            "INFO": f'{{url = "http://127.0.0.1:{port}"}}',
            "GRACE": "1s",
            "CWD": str(home),
        },
        "BROKEN": {"COMMAND": '["sh", "-c", "echo no display >&2; exit 3"]', "HEALTH": '{tcp = "127.0.0.1:1"}'},
        "MISSING": {"COMMAND": '["/no/such/driver"]'},
        "HANGS": {**hangs, "START_TIMEOUT": "1s", "GRACE": "1s"},
        "SLOW": {
            "COMMAND": json.dumps(["sh", "-c", f"touch {home}/slow.$$; sleep 1000"]),
            "READY": f'{{command = ["sh", "-c", "test -e {home}/gate || exec sleep 1001"]}}',
            "HEALTH_TIMEOUT": "60s",
            "START_TIMEOUT": "60s",
            "GRACE": "1s",
        },
    }
    pairs = [(name, key, value) for name, settings in sessions.items() for key, value in settings.items()]
    variables = {f"JOBKEEP_SESSIONS_{name}_{key}": value for name, key, value in pairs}
    try:
        private = PrivateDaemon(home, **variables)
        with private:
            yield private
    finally:
        slay_all(home)
        shutil.rmtree(home)


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket)) as client:
        yield client


def starts(daemon: PrivateDaemon) -> int:
    return len(list(daemon.home.glob("start.*")))


def child_of_session(daemon: PrivateDaemon) -> int:
    until(lambda: (daemon.home / "child").exists())
    return int((daemon.home / "child").read_text())


def test_many_who_open_it_at_once_are_one_start_and_never_inside_together(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Programs with and without await, on both loops, and the command line."""
    path, door, pids = str(daemon.socket), Door(daemon.home / "door"), set()
    jk.close_session("web")
    before = starts(daemon)

    async def awaits() -> None:
        async with jobkeep.connect(path) as client, client.session("web", wait=PATIENCE) as session:
            with door.inside(session.token):
                pids.add(session.pid)
                await anyio.sleep(0.01)

    def blocks() -> None:
        with jk.session("web", wait=PATIENCE) as session, door.inside(session.token):
            pids.add(session.pid)

    def types() -> None:
        done = command_line(daemon.socket, daemon.home, "session", "open", "web", "--wait", PATIENCE, "--",
                            "sh", "-c", "echo $JOBKEEP_SESSION_PID $JOBKEEP_SESSION_INFO")  # fmt: skip
        assert done.returncode == 0, done.stderr
        pid, info = done.stdout.split(maxsplit=1)
        pids.add(int(pid))
        assert json.loads(info)["url"].startswith("http://127.0.0.1:")

    works = [*[blocks] * 4, types, lambda: anyio.run(awaits), lambda: anyio.run(awaits, backend="trio")]
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert door.violations() == []
    assert len(door.tokens()) == 6
    assert (len(pids), starts(daemon) - before) == (1, 1)


def test_a_client_that_is_killed_gives_it_back_at_once(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """However long its lease would last; the session is the same process."""
    user = subprocess.Popen([sys.executable, "-c", USER, str(daemon.socket)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    pid = int(user.stdout.readline())
    with pytest.raises(jobkeep.SessionInUse) as told, jk.session("web"):
        pass
    assert told.value.pid == user.pid
    (web,) = [each for each in jk.sessions() if each.name == "web"]
    assert web.in_use_by is not None
    assert (web.state, web.in_use_by.pid, web.pid, web.health) == ("in_use", user.pid, pid, "ok")
    user.kill()
    began = time.monotonic()
    with jk.session("web", wait=PATIENCE) as session:
        assert session.pid == pid
        print(f"given back {time.monotonic() - began:.3f} s after the kill")
    user.wait()
    user.stdout.close()


def test_a_session_that_is_killed_goes_with_its_hidden_child_and_the_next_open_has_another(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """The child has forked twice, has a session of its own and an empty environment. Its user has lost the lease."""
    with pytest.raises(jobkeep.LeaseLost) as told, jk.session("web", wait=PATIENCE) as session:  # noqa: PT012
        child = child_of_session(daemon)
        assert session.pid is not None
        os.kill(session.pid, signal.SIGKILL)
        until(lambda: session.lost)
        until(lambda: not is_alive(child))
    assert str(told.value).endswith("the process of the session has ended")
    with jk.session("web") as again:
        assert again.pid != session.pid
        assert not is_alive(child)
    assert jk.job(str(session.job)).info().state == "failed"


def test_a_session_outlives_a_killed_daemon_and_so_does_its_lease(daemon: PrivateDaemon) -> None:
    """Its holder notices nothing; the next daemon knows who has it."""
    with jobkeep.connect_blocking(str(daemon.socket)) as jk, jk.session("web", wait=PATIENCE, ttl="1h") as session:
        daemon.kill()
        daemon.start().close()
        (web,) = [each for each in jk.sessions() if each.name == "web"]
        assert web.in_use_by is not None
        assert (web.state, web.pid, web.in_use_by.pid) == ("in_use", session.pid, os.getpid())
        session.check()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk, jk.session("web", wait=PATIENCE) as again:
        assert again.pid == session.pid


def test_an_open_outlives_a_daemon_that_is_killed_in_the_middle_of_it(daemon: PrivateDaemon) -> None:
    """While the session is being checked by a command: there is one start, and that check does not run on."""
    got: list[int | None] = []

    def opens() -> None:
        with jobkeep.connect_blocking(str(daemon.socket)) as jk, jk.session("slow") as session:
            got.append(session.pid)

    def checks() -> list[int]:
        return [pid for pid, command in processes_of(daemon.home).items() if command == "sleep 1001"]

    opening = threading.Thread(target=opens)
    opening.start()
    until(checks)
    (first,) = checks()
    daemon.kill()
    (daemon.home / "gate").touch()
    daemon.start().close()
    opening.join()
    (log,) = daemon.home.glob("slow.*")
    assert got == [int(log.suffix[1:])]
    until(lambda: not is_alive(first))
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        jk.close_session("slow")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_uses_it_while_it_is_closed_by_force_is_stopped(daemon: PrivateDaemon, backend: str) -> None:
    """The block is cancelled, and leaving it says why."""

    async def use() -> None:
        async with jobkeep.connect(str(daemon.socket)) as jk, anyio.create_task_group() as tasks:
            with anyio.fail_after(PATIENCE_S):
                async with jk.session("web", wait=PATIENCE):
                    tasks.start_soon(lambda: jk.close_session("web", force=True, reason="upgrade"))
                    await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as told:
        anyio.run(use, backend=backend)
    (lost,) = told.value.exceptions
    assert isinstance(lost, jobkeep.LeaseLost)
    assert "the session web is lost" in str(lost)


def test_clean_up_and_status_count_it_and_leave_it_alone(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """Its processes are protected while it is in use, the hidden one included."""
    with jk.session("web", wait=PATIENCE) as session:
        report = jk.cleanup()
        found = {row.pid: row for row in report.processes}
        assert report.active_sessions == 1
        own, child = found[session.pid or 0], found[child_of_session(daemon)]
        assert (own.action, own.reason) == ("protected", "it is of session web, in use")
        assert (child.action, child.reason) == ("protected", "its run is under way")
        assert jk.status().sessions >= 1
    assert jk.cleanup(dry_run=True).active_sessions == 0


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("broken", 1, "it ended before it was ready: exit code 3; its last line: no display"),
        ("missing", 1, "command not found: /no/such/driver"),
        ("hangs", 1, "it did not become ready within 1 s: command sleep 1000: no answer within 0.3 s"),
        ("typo", 3, "there is no session typo; there are: broken, hangs, missing, slow, web"),
    ],
)
def test_one_that_cannot_be_had_is_a_clear_error_in_bounded_time(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, name: str, code: int, why: str
) -> None:
    """For programs and on the command line; nothing of it is left."""
    began = time.monotonic()
    with pytest.raises(jobkeep.UnknownSession if code == 3 else jobkeep.SessionFailed) as told, jk.session(name):
        pass
    assert time.monotonic() - began < PATIENCE_S
    assert why in str(told.value)
    done = command_line(daemon.socket, daemon.home, "session", "open", name)
    assert done.returncode == code
    assert why in done.stderr
    assert "hint: jobkeep" in done.stderr
    assert [job.id for job in jk.jobs(state=["running"], label={"session": name})] == []
    assert [each.state for each in jk.sessions() if each.name == name] in ([], ["dead"])


def test_it_is_listed_opened_and_closed_on_the_command_line(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """Closed, all of it is gone; opened again it is another process."""
    done = command_line(daemon.socket, daemon.home, "session", "open", "web", "--wait", PATIENCE, "--json")
    opened = json.loads(done.stdout)
    assert (opened["state"], opened["health"], opened["in_use_by"]) == ("ready", "ok", None)
    child = child_of_session(daemon)
    done = command_line(daemon.socket, daemon.home, "session", "close", "web", "--reason", "upgrade")
    assert (done.returncode, done.stdout.split()) == (0, ["web", "closed"])
    assert not is_alive(opened["pid"])
    assert not is_alive(child)
    listed = [json.loads(line) for line in command_line(
        daemon.socket, daemon.home, "session", "ls", "--json").stdout.splitlines()]  # fmt: skip
    (web,) = [each for each in listed if each["name"] == "web"]
    assert (web["state"], web["pid"], web["reason"]) == ("closed", None, "the session was closed: upgrade")
    assert command_line(daemon.socket, daemon.home, "session", "close", "web").returncode == 0
