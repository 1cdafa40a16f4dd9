"""What is killed with SIGKILL, and what goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import jobkeep
from jobkeep.testing import PrivateDaemon

from .conftest import Cli

PATIENCE = "30s"


def wait_for(condition: object, seconds: float = 20.0) -> None:
    """Look until it holds; another process makes it hold."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.005)


def test_a_command_outlives_its_daemon_with_its_output_and_exit_code(daemon: PrivateDaemon, cli: Cli) -> None:
    """It ends while no daemon is there; the next one knows its true status."""
    gate = daemon.home / "gate"
    script = f"echo before; while [ ! -e {gate} ]; do sleep 0.01; done; echo after; exit 5"
    job = cli("run", "-d", "--", "sh", "-c", script).stdout.strip()
    outputs = daemon.home / "state/logs/seats"
    wait_for(lambda: any("before" in path.read_text() for path in outputs.iterdir()))
    daemon.kill()
    gate.touch()
    wait_for(lambda: any("after" in path.read_text() for path in outputs.iterdir()))
    with daemon.start() as jk:
        info = jk.job(job).wait(timeout=PATIENCE)
        assert info.outcome is not None
        assert (info.state, info.outcome.exit_code, info.attempt) == ("failed", 5, 1)
    assert cli("logs", job).stdout == "before\nafter\n"


def test_a_running_command_is_adopted_and_can_be_cancelled(daemon: PrivateDaemon, cli: Cli) -> None:
    """The new daemon has it as its own."""
    job = cli("run", "-d", "--", "sleep", "600").stdout.strip()
    wait_for(lambda: cli("-q", "ls", "--state", "running").stdout.strip() == job)
    daemon.kill()
    with daemon.start() as jk:
        assert jk.job(job).info().state == "running"
        jk.job(job).cancel()
        assert jk.job(job).wait(timeout=PATIENCE).state == "cancelled"
        assert jk.job(job).info().attempt == 1


def test_a_batch_goes_on_without_its_daemon_and_loses_nothing(daemon: PrivateDaemon, cli: Cli) -> None:
    """Checkpoints and result made meanwhile are handed over; every item was done once."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    job = cli("call", "-d", "jobs:batch", f"log={log}", "count=40", f"gate={gate}", "stop_at=17").stdout.strip()
    wait_for(lambda: log.exists() and len(log.read_text().split()) == 17)
    daemon.kill()
    gate.touch()
    wait_for(lambda: list((daemon.home / "state/spool").glob("*.finish")))
    with daemon.start() as jk:
        assert jk.job(job).result(timeout=PATIENCE) == {"even": 20, "odd": 16, "failed": 4}
        assert jk.job(job).info().attempt == 1
    assert sorted(map(int, log.read_text().split())) == list(range(40))
    assert not list((daemon.home / "state/spool").iterdir())


def test_a_killed_worker_fails_its_run_and_resume_repeats_fewer_than_every(daemon: PrivateDaemon, cli: Cli) -> None:
    """The position and the tallies are exact."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    job = cli("call", "-d", "jobs:batch", f"log={log}", "count=40", f"gate={gate}", "stop_at=29").stdout.strip()
    wait_for(lambda: log.exists() and len(log.read_text().split()) == 29)
    os.kill(worker_of(daemon, job), signal.SIGKILL)
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        info = jk.job(job).wait(timeout=PATIENCE)
        assert info.outcome is not None
        assert (info.state, info.outcome.reason) == ("failed", "worker ended by signal 9 (SIGKILL)")
        gate.touch()
        jk.job(job).resume()
        assert jk.job(job).result(timeout=PATIENCE) == {"even": 20, "odd": 16, "failed": 4}
    done = list(map(int, log.read_text().split()))
    assert set(done) == set(range(40))
    assert len(done) - 40 < 5


def worker_of(daemon: PrivateDaemon, job: str) -> int:
    """The worker that runs the job: its environment, as the kernel shows it, belongs to our daemon."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"jobkeep.worker" in command and f"JOBKEEP_SOCKET={daemon.socket}".encode() in environment:
                return int(entry.name)
    raise AssertionError("no worker")


def test_many_runs_are_all_decided_on_restart(daemon: PrivateDaemon, cli: Cli) -> None:
    """Two run, two are claimed ahead, the rest waits: each runs once and succeeds."""
    starts, gate = daemon.home / "starts", daemon.home / "gate"
    script = f"echo $JOBKEEP_JOB >> {starts}; while [ ! -e {gate} ]; do sleep 0.01; done"
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        handles = jk.submit_many({"command": ["sh", "-c", script]}, [{}] * 12)
        ids = [handle.id for handle in handles]
    wait_for(lambda: starts.exists() and len(starts.read_text().split()) == 2)
    daemon.kill()
    with daemon.start() as jk:
        gate.touch()
        ended = jk.wait(ids, timeout=PATIENCE)
        assert {info.state for info in ended} == {"succeeded"}
    assert sorted(starts.read_text().split()) == sorted(ids)
