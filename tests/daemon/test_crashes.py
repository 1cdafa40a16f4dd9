"""What is killed with SIGKILL, and what goes on."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import jobkeep
from crash.judges import processes_of, slay, slay_slot
from jobkeep.testing import PrivateDaemon
from jobkeepd.spawner import record

from .conftest import Cli

PATIENCE = "60s"


def wait_for(condition: object, seconds: float = 60.0) -> None:
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
    wait_for(lambda: not list((daemon.home / "state/spool").iterdir()))  # after the end is on record


def test_a_killed_worker_fails_its_run_and_resume_repeats_fewer_than_every(daemon: PrivateDaemon, cli: Cli) -> None:
    """The position and the tallies are exact."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    job = cli("call", "-d", "jobs:batch", f"log={log}", "count=40", f"gate={gate}", "stop_at=29").stdout.strip()
    wait_for(lambda: log.exists() and len(log.read_text().split()) == 29)
    os.kill(worker_of(daemon, job), signal.SIGKILL)
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        info = jk.job(job).wait(timeout=PATIENCE)
        assert info.outcome is not None
        killed = "worker ended by signal 9 (SIGKILL), which jobkeep did not send"
        assert (info.state, info.outcome.reason) == ("failed", killed)
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


def test_a_command_whose_daemon_and_shim_are_killed_is_adopted_under_the_spawner(
    daemon: PrivateDaemon, cli: Cli
) -> None:
    """The new daemon starts at once, has the run, and can end it."""
    pid_file = daemon.home / "pid"
    job = cli("run", "-d", "--", "sh", "-c", f"echo $$ > {pid_file}; exec sleep 600").stdout.strip()
    wait_for(lambda: pid_file.exists() and pid_file.read_text().strip())
    leader = int(pid_file.read_text())
    daemon.kill()
    slay_slot(leader, daemon.home)
    with daemon.start() as jk:
        wait_for(lambda: jk.job(job).info().state == "running")  # the last daemon may not have come to say so
        jk.job(job).cancel(force=True)
        assert jk.job(job).wait(timeout=PATIENCE).state == "cancelled"
    wait_for(lambda: not Path(f"/proc/{leader}").exists())



def test_a_cancellation_that_was_asked_for_before_a_crash_is_carried_out(daemon: PrivateDaemon, cli: Cli) -> None:
    """A run that ignores SIGTERM is killed by the next daemon, after its grace."""
    ready = daemon.home / "ready"
    script = f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done"
    job = cli("run", "-d", "--grace", "0.5s", "--", "sh", "-c", script).stdout.strip()
    wait_for(ready.exists)
    cli("cancel", job)
    daemon.kill()
    with daemon.start() as jk:
        assert jk.job(job).wait(timeout=PATIENCE).state == "cancelled"


def test_output_of_a_run_that_ended_without_a_daemon_stays_its_own(daemon: PrivateDaemon, cli: Cli) -> None:
    """The next run of the same worker, claimed ahead then, gets none of it."""
    gate = daemon.home / "gate"
    jobs = [
        cli("call", "-d", "--name", name, "jobs:say_when", f"text={name}", f"gate={gate}").stdout.strip()
        for name in ("one", "two", "three", "four")
    ]
    wait_for(lambda: len(list(daemon.home.glob("gate.*"))) == 2)  # what is sent and not begun dies with the daemon
    daemon.kill()
    gate.touch()
    wait_for(lambda: len(list((daemon.home / "state/spool").glob("*.finish"))) == 2)
    with daemon.start() as jk:
        assert {info.state for info in jk.wait(jobs, timeout=PATIENCE)} == {"succeeded"}
    assert [cli("logs", job).stdout for job in jobs] == ["one\n", "two\n", "three\n", "four\n"]


def test_output_stays_its_own_if_the_next_daemon_dies_before_it_has_met_the_worker(
    daemon: PrivateDaemon, cli: Cli
) -> None:
    """That daemon has taken the result from the spool, and which run wrote last is not for the worker to tell."""
    gate = daemon.home / "gate"
    jobs = [
        cli("call", "-d", "--name", name, "jobs:say_when", f"text={name}", f"gate={gate}").stdout.strip()
        for name in ("one", "two", "three", "four")
    ]
    wait_for(lambda: len(list(daemon.home.glob("gate.*"))) == 2)  # what is sent and not begun dies with the daemon
    daemon.kill()
    gate.touch()
    wait_for(lambda: len(list((daemon.home / "state/spool").glob("*.finish"))) == 2)
    workers = [pid for pid, command in processes_of(daemon.home).items() if "jobkeep.worker" in command]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    daemon.start().close()
    daemon.kill()
    for pid in workers:
        with suppress(ProcessLookupError):  # that daemon may have had no use for them any more
            os.kill(pid, signal.SIGCONT)
    with daemon.start() as jk:
        assert {info.state for info in jk.wait(jobs, timeout=PATIENCE)} == {"succeeded"}
    assert [cli("logs", job).stdout for job in jobs] == ["one\n", "two\n", "three\n", "four\n"]


def test_children_of_a_killed_worker_end_with_it(daemon: PrivateDaemon, cli: Cli) -> None:
    """Also one that ignores TERM."""
    (daemon.home / "parents.py").write_text(
        "def parent(ctx):\n"
        "    child = ctx.spawn(['sh', '-c', 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done'])\n"
        "    return child.wait()\n"
    )
    job = cli("call", "-d", "--grace", "0.2s", "parents:parent").stdout.strip()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        child = int(next(iter(jk.job(job).logs(follow=True))))
        assert slay(worker_of(daemon, job), daemon.home)
        assert jk.job(job).wait(timeout=PATIENCE).state == "failed"
    assert not Path(f"/proc/{child}").exists()


def test_a_worker_that_is_killed_while_it_starts_harms_no_job(daemon: PrivateDaemon, cli: Cli) -> None:
    """The next one runs it."""
    gate, python = daemon.home / "gate", daemon.home / "python"
    python.write_text(f'#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.01; done\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    job = cli("call", "-d", "--python", str(python), "jobs:add", "a=1").stdout.strip()
    for _ in range(2):
        wait_for(lambda: starting_at(daemon, python))
        assert slay(starting_at(daemon, python)[0], daemon.home)
    gate.touch()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        assert jk.job(job).result(timeout=PATIENCE) == 2
        assert [run.outcome for run in jk.job(job).info().runs] == ["succeeded"]


def starting_at(daemon: PrivateDaemon, python: Path) -> list[int]:
    return [pid for pid, command in processes_of(daemon.home).items() if f"{python} -m" in command]


def test_a_run_claimed_ahead_on_a_worker_that_died_with_the_daemon_is_not_lost(daemon: PrivateDaemon, cli: Cli) -> None:
    """It was never sent: it runs elsewhere, and what the worker had written stays with who wrote it."""
    gate = daemon.home / "gate"
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:  # all at once: nobody is claimed ahead of a run that lasts
        items = [{"arguments": {"gate": str(gate), "text": text}} for text in "abcd"]
        handles = jk.submit_many({"function": "jobs:say_and_wait", "cwd": str(daemon.home)}, items)
        first, ahead = [each.id for each in handles[:2]], [each.id for each in handles[2:]]
        wait_for(lambda: len(jk.sql("SELECT id FROM stuck_runs").rows) == 4)
        wait_for(lambda: all(any(each.logs()) for each in handles[:2]))
    os.kill(daemon.pid, signal.SIGSTOP)  # so that it does not see the workers die
    for pid, command in processes_of(daemon.home).items():
        if "jobkeep.worker" in command:
            assert slay(pid, daemon.home)
    daemon.kill()
    gate.touch()
    with daemon.start() as jk:
        assert [info.state for info in jk.wait(first + ahead, timeout=PATIENCE)] == ["failed"] * 2 + ["succeeded"] * 2
    assert [cli("logs", job).stdout for job in first + ahead] == ["a\n", "b\n", "c\n", "d\n"]


@pytest.mark.parametrize("daemon_too", [False, True])
def test_what_a_run_has_left_behind_is_ended_though_nobody_was_left_to_inherit_it(
    daemon: PrivateDaemon, cli: Cli, daemon_too: bool
) -> None:
    """Slot and spawner are killed, and then the command: its cookie tells what else is its own."""
    child, leader = daemon.home / "child", daemon.home / "leader"
    leave = f"( setsid sh -c 'trap \"\" TERM; echo $$ > {child}; while :; do sleep 0.1; done' & )"
    script = f"echo $$ > {leader}; {leave}; while :; do sleep 0.1; done"
    job = cli("run", "-d", "--grace", "0.5s", "--", "sh", "-c", script).stdout.strip()
    wait_for(lambda: child.exists() and child.read_text().strip())
    left = int(child.read_text())
    for lock in ("spawner.lock", f"slots/{slot_of(left)}.lock"):
        holder = record.lock_holder(str(daemon.home / "run" / lock))
        assert holder is not None
        assert slay(holder, daemon.home)
    if daemon_too:
        daemon.kill()
    assert slay(int(leader.read_text()), daemon.home)
    with daemon.start() if daemon_too else jobkeep.connect_blocking(str(daemon.socket)) as jk:
        assert jk.job(job).wait(timeout=PATIENCE).state == "failed"
        assert left not in processes_of(daemon.home)


def slot_of(pid: int) -> str:
    """The slot whose output file a process has for its own."""
    return Path(os.readlink(f"/proc/{pid}/fd/1")).name.removesuffix(".stdout")
