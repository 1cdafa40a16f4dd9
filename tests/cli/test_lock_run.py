"""A command under a lock: a child of the command line itself, that does not outlive the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Jobkeep, start
from cli.fake_daemon import FakeDaemon, Fault

PATIENCE = 60.0


class Granting:
    """Grants the lock with token 7 and renews it until `lost` is set."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.lost = threading.Event()
        daemon.answers.update(
            Acquire={"token": 7, "ttl_s": 60.0}, Renew=self.renew, Release=lambda asked: self.renew({}), GiveUp={}
        )

    def renew(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.lost.wait(asked.get("linger_s", 0.0)):
            raise Fault("org.jobkeep.Locks.LeaseLost", message="lock crm is not held any more", name="crm", token=7)
        return {}


@pytest.fixture
def granting(daemon: FakeDaemon) -> Granting:
    return Granting(daemon)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def pids(file: Path, count: int) -> list[int]:
    """Those that a command wrote down, once there are so many."""
    until(lambda: file.exists() and file.read_text().endswith("\n") and len(file.read_text().split()) >= count)
    return [int(word) for word in file.read_text().split()]


def run(*line: str, **given: Any) -> subprocess.CompletedProcess[bytes]:
    process = start("lock", "run", *line, **given)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(line, process.returncode, out, err)


def test_the_command_has_the_token_and_its_status_is_ours(granting: Granting, daemon: FakeDaemon) -> None:
    """Also when a signal ended it; the lock is given back."""
    done = run("crm", "--", "sh", "-c", "echo $JOBKEEP_LOCK_TOKEN; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"7\n", b"")
    assert daemon.called("Release") == [{"name": "crm", "token": 7}]
    assert run("crm", "sh", "-c", "kill -9 $$").returncode == 137


@pytest.mark.parametrize(
    "line",
    [
        ("crm", "--wait", "90s", "--ttl", "2m", "--", "echo", "--wait", "x"),
        ("--wait", "90s", "crm", "--ttl=2m", "echo", "--wait", "x"),
        ("--ttl", "2m", "--wait", "90s", "crm", "--", "echo", "--wait", "x"),
    ],
)
def test_options_may_stand_on_both_sides_of_the_name(
    granting: Granting, daemon: FakeDaemon, line: tuple[str, ...]
) -> None:
    """And the words of the command stay its own."""
    done = run(*line)
    (asked,) = daemon.called("Acquire")
    assert done.stdout == b"--wait x\n"
    assert asked["ttl_s"] == 120.0
    assert 80 < asked["wait_s"] <= 90


def test_it_has_our_standard_input(granting: Granting) -> None:
    """It is our child, and no job."""
    reading, writing = os.pipe()
    os.write(writing, b"hello")
    os.close(writing)
    done = run("crm", "cat", stdin=reading)
    os.close(reading)
    assert (done.returncode, done.stdout) == (0, b"hello")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("no-such-command", 127, b"command not found: no-such-command"), ("/dev/null", 126, b"cannot be executed")],
)
def test_what_cannot_be_executed_is_told_as_shells_do(
    granting: Granting, daemon: FakeDaemon, command: str, code: int, said: bytes
) -> None:
    """And does not keep the lock."""
    done = run("crm", "--", command)
    assert (done.returncode, said in done.stderr) == (code, True)
    assert len(daemon.called("GiveUp")) == 1


def test_a_held_lock_is_exit_code_5_and_nothing_is_run(daemon: FakeDaemon, tmp_path: Path) -> None:
    """Who has it, since when, and how to wait for it."""

    def held(_: object) -> None:
        message = "the lock crm is held by process 5 of user 0"
        raise Fault(
            "org.jobkeep.Locks.LockHeld", message=message, name="crm", since_s=720.0, kind="client", pid=5, uid=0
        )

    daemon.answers["Acquire"] = held
    done = run("crm", "--", "touch", str(tmp_path / "ran"))
    assert done.returncode == 5
    assert done.stderr.decode().splitlines() == [
        "jobkeep: the lock crm is held by process 5 of user 0; it has had it for 12 min",
        "hint: --wait DUR waits for it; jobkeep lock show crm tells more",
    ]
    assert not (tmp_path / "ran").exists()
    waited = run("crm", "--wait", "0.1s", "--", "true").stderr.decode()  # whoever has waited is not told to wait
    assert waited.splitlines()[-1] == "hint: jobkeep lock show crm tells more"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ((), "no lock named"), (("--", "true"), "no lock named"), (("crm",), "no command given"),
        (("crm", "--"), "no command given"), (("a b", "true"), "is not a name"),
        (("crm", "--wait", "soon", "true"), "is not a duration"), (("crm", "--what", "true"), "--what"),
    ],
)  # fmt: skip
def test_a_mistake_is_explained(jobkeep: Jobkeep, line: tuple[str, ...], said: str) -> None:
    """Exit code 2."""
    done = jobkeep("lock", "run", *line)
    assert (done.code, said in done.err) == (2, True)


def test_a_lost_lock_ends_the_command_and_all_that_it_started(granting: Granting, tmp_path: Path) -> None:
    """Though it has no ear for TERM and its children have left its session: somebody else may have the lock by now."""
    file = tmp_path / "pids"
    script = (
        f"trap '' TERM; setsid sleep 1000 & echo $! >> {file};"
        f"sh -c '(trap \"\" TERM; sleep 1001) & echo $!' >> {file}; echo $$ >> {file}; while :; do sleep 0.1; done"
    )
    process = start("lock", "run", "crm", "--", "sh", "-c", script)
    started = pids(file, 3)
    granting.lost.set()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert b"the lock crm is lost: lock crm is not held any more; the command was ended, exit status 137" in err
    until(lambda: not any(map(lives, started)))


def test_a_lock_that_was_lost_unnoticed_is_exit_code_5_though_the_command_succeeded(
    granting: Granting, daemon: FakeDaemon
) -> None:
    """It may have run beside another one."""

    def lost(_: object) -> None:
        raise Fault("org.jobkeep.Locks.LeaseLost", message="lock crm is not held any more", name="crm", token=7)

    daemon.answers["Release"] = lost
    done = run("crm", "true")
    assert done.returncode == 5
    assert b"the command had ended by itself, exit status 0" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(granting: Granting, daemon: FakeDaemon, tmp_path: Path, number: signal.Signals) -> None:
    """The command decides what becomes of it; the lock is held till its end, and then given back."""
    file = tmp_path / "pid"
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 9' {name}; echo $$ > {file}; while :; do sleep 0.05; done"
    process = start("lock", "run", "crm", "sh", "-c", script)
    pids(file, 1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (9, f"got {name}\n".encode())
    assert len(daemon.called("Release")) == 1


def test_the_command_does_not_outlive_us(granting: Granting, tmp_path: Path) -> None:
    """SIGKILL leaves no time for anything: the kernel ends it, since the lock is free in that moment."""
    file = tmp_path / "pid"
    process = start("lock", "run", "crm", "sh", "-c", f"echo $$ > {file}; while :; do sleep 0.05; done")
    (pid,) = pids(file, 1)
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not lives(pid))


def test_an_interrupt_while_it_waits_runs_nothing(daemon: FakeDaemon, tmp_path: Path) -> None:
    """And leaves no wait behind."""
    asked, over = threading.Event(), threading.Event()

    def late(_: object) -> dict[str, Any]:
        asked.set()
        over.wait(PATIENCE)
        return {"token": 7, "ttl_s": 60.0}

    daemon.answers.update(Acquire=late, GiveUp={})
    process = start("lock", "run", "crm", "--wait", "1h", "--", "touch", str(tmp_path / "ran"))
    assert asked.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    over.set()
    assert process.returncode == 130
    assert [given["lease"] for given in daemon.called("GiveUp")] == [daemon.called("Acquire")[0]["lease"]]
    assert not (tmp_path / "ran").exists()
