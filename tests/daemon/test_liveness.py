"""Real processes that are killed, stopped, blocked or stuck, and what the daemon makes of each."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

import jobkeep
from crash.judges import processes_of, slay
from jobkeep.testing import PrivateDaemon

from .holders import PATIENCE, until

JOBS = '''
import asyncio, ctypes, os, time
from pathlib import Path
import jobkeep

async def block(ctx, gate):
    """Blocks the loop until the gate opens, then goes on as if nothing had been."""
    await ctx.checkpoint({"at": "before"})
    while not os.path.exists(gate):
        time.sleep(0.01)
    await ctx.checkpoint({"at": "after"})
    return "went on"

async def hold_interpreter(ctx, seconds):
    """In C, without letting any other thread run."""
    await ctx.progress(1)
    ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1e6)))
    await ctx.checkpoint({"at": "after"})
    return "went on"

async def each_second(ctx, log):
    await write(ctx, log)
    while True:
        await asyncio.sleep(0.02)

def plain(ctx, log):
    Path(log).write_text(f"{ctx.run_number} {os.getpid()}")
    try:
        while ctx.run_number == 1:
            ctx.sleep(0.02)
    except jobkeep.RunLeaseLost as lost:
        Path(log + ".lost").write_text(repr(lost))
        raise
    return ctx.run_number

async def write(ctx, log):
    Path(log).write_text(f"{ctx.run_number} {os.getpid()}")
    await ctx.progress(1)

async def stuck(ctx, log):
    """Makes progress in its second run only."""
    await write(ctx, log)
    while ctx.run_number == 1:
        await asyncio.sleep(0.02)
    return ctx.run_number
'''


@pytest.fixture
def daemon() -> PrivateDaemon:
    private = PrivateDaemon(
        JOBKEEP_QUEUES_DEFAULT_LIMIT="4",
        JOBKEEP_JOBS_HEARTBEAT_INTERVAL="0.1s",
        JOBKEEP_JOBS_LATE_AFTER="0.6s",
        JOBKEEP_JOBS_HEARTBEAT_LOG_INTERVAL="0.5s",
        JOBKEEP_LOCKS_TTL="1s",
    )
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    return private


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with daemon as client:
        yield client


def function(daemon: PrivateDaemon, jk: jobkeep.BlockingClient, what: str, **options: object) -> tuple[str, int]:
    """A job that has written its pid; with it."""
    log = daemon.home / "log"
    job = jk.call(f"jobs:{what}", {"log": str(log)}, cwd=str(daemon.home), **options)  # type: ignore[arg-type]
    until(lambda: log.exists() and log.read_text().startswith("1 "))
    return job.id, int(log.read_text().split()[1])


def health(jk: jobkeep.BlockingClient, job: str) -> tuple[str, str]:
    info = jk.job(job).info()
    return info.health, info.health_reason or ""


def kinds(jk: jobkeep.BlockingClient, job: str) -> list[str]:
    return [event.kind for event in jk.job(job).history()]


def test_the_death_of_a_worker_is_acted_on_within_a_second(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Whatever its heartbeats would have said, and when; on a host that has the time, so that one of ten has to do."""

    def took() -> float:
        (daemon.home / "log").unlink(missing_ok=True)
        job, pid = function(daemon, jk, "each_second")
        killed = time.monotonic()
        assert slay(pid, daemon.home)
        ended = jk.job(job).wait(timeout=PATIENCE)
        assert ended.outcome is not None
        why = "worker ended by signal 9 (SIGKILL), which jobkeep did not send"
        assert (ended.state, ended.outcome.reason) == ("failed", why)
        return time.monotonic() - killed

    assert any(took() < 1.0 for _ in range(10))


def test_the_death_of_a_command_is_acted_on_within_a_second(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """And whoever waits for its lock has it then; on a host that has the time, so that one of ten has to do."""

    def took() -> float:
        first = jk.run(["sh", "-c", "echo $$; exec sleep 600"], lock="crm")
        pid = int(next(iter(first.logs(follow=True))))
        second = jk.run(["true"], lock="crm")
        killed = time.monotonic()
        assert slay(pid, daemon.home)
        ended = first.wait(timeout=PATIENCE)
        at = time.monotonic()
        assert second.wait(timeout=PATIENCE).state == "succeeded"
        assert ended.outcome is not None
        assert (ended.state, ended.outcome.signal) == ("failed", 9)
        return at - killed

    assert any(took() < 1.0 for _ in range(10))


def test_a_blocked_event_loop_is_seen_as_blocked(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """Its process is alive, and beats; what it writes when it returns is taken."""
    gate = daemon.home / "gate"
    job = jk.call("jobs:block", {"gate": str(gate)}, cwd=str(daemon.home))
    until(lambda: "its event loop has been blocked for" in health(jk, job.id)[1])  # it may be late in starting, too
    assert health(jk, job.id)[0] == "late"
    until(lambda: "3 s" in health(jk, job.id)[1])  # three leases
    until(lambda: (job.info().heartbeat_age_s or 1.0) < 0.6)
    gate.touch()
    assert job.result(timeout=PATIENCE) == "went on"
    found = job.info()
    assert found.checkpoint is not None
    assert (found.attempt, found.checkpoint.seq) == (1, 2)
    assert "fenced" not in kinds(jk, job.id)


def test_code_that_lets_no_thread_run_is_late_and_not_fenced(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """It works: the kernel says so, although nothing is heard of it for three leases."""
    job = jk.call("jobs:hold_interpreter", {"seconds": 3.5}, cwd=str(daemon.home))
    said: list[str] = []

    def told() -> bool:
        said.append(health(jk, job.id)[1])
        return "lets none of its other threads run" in said[-1]

    until(told)
    assert said[-1].startswith("no heartbeat for")
    assert job.result(timeout=PATIENCE) == "went on"
    assert "fenced" not in kinds(jk, job.id)


@pytest.mark.parametrize("name", ["plain", "stuck"])
def test_a_stopped_worker_is_fenced_and_ends_when_it_goes_on(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, name: str
) -> None:
    """Its lock is kept until it is gone, with a token that has risen; only then the job runs again."""
    job, pid = function(daemon, jk, name, lock="crm", on_lost="resume")
    token = jk.lock_info("crm").token
    os.kill(pid, signal.SIGSTOP)
    until(lambda: "fenced" in kinds(jk, job))
    lock = jk.lock_info("crm")
    assert lock.holder is not None
    assert (lock.token, lock.holder.job) == (token + 1, job)
    assert health(jk, job)[0] == "late"
    assert "its process is stopped" in health(jk, job)[1]
    time.sleep(1.5)  # nothing happens for as long as it is stopped: that is the claim
    found = jk.job(job).info()
    assert (found.state, found.attempt) == ("running", 1)
    assert pid in processes_of(daemon.home)
    os.kill(pid, signal.SIGCONT)
    ended = jk.job(job).wait(timeout=PATIENCE)
    assert ended.state == "succeeded"
    assert [(run.number, run.outcome) for run in ended.runs] == [(1, "lost"), (2, "succeeded")]
    assert "its process is stopped" in (ended.runs[0].reason or "")
    assert pid not in processes_of(daemon.home)
    if name == "plain":
        assert (daemon.home / "log.lost").read_text() == "RunLeaseLost('lease lost')"
    assert jk.lock_info("crm").token == token + 2


def test_a_fenced_worker_is_told_by_the_next_daemon_too(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """The fence is on record: what a daemon that died has decided holds."""
    job, pid = function(daemon, jk, "each_second")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: "fenced" in kinds(jk, job))
    daemon.kill()
    with daemon.start() as again:
        assert again.job(job).info().state == "running"
        os.kill(pid, signal.SIGCONT)
        ended = again.job(job).wait(timeout=PATIENCE)
        assert ended.outcome is not None
        assert (ended.state, ended.outcome.kind) == ("failed", "lost")
    until(lambda: pid not in processes_of(daemon.home))


def test_a_job_that_is_stuck_is_restarted_if_that_is_its_policy(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """The stuck run is ended for sure before the next one begins."""
    job, _ = function(daemon, jk, "stuck", stall_after="3s", on_stall="restart", grace="1s")
    ended = jk.job(job).wait(timeout=PATIENCE)
    assert (ended.state, ended.attempt) == ("succeeded", 2)
    told = [event for event in jk.job(job).history() if event.kind in ("stalled", "restart_requested")]
    assert [(event.kind, event.by) for event in told] == [("stalled", None), ("restart_requested", None)]
    assert told[0].data["reason"].startswith("no progress for ")
    assert [run.outcome for run in ended.runs] == ["interrupted", "succeeded"]


def test_a_command_that_writes_nothing_is_stalled_and_one_that_writes_is_not(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Output is the progress of a command."""
    silent = jk.run(["sleep", "600"], stall_after="2s", on_stall="cancel")
    talking = jk.run(["sh", "-c", "while :; do echo x; sleep 0.2; done"], stall_after="4s", on_stall="cancel")
    assert silent.wait(timeout=PATIENCE).state == "cancelled"
    until(lambda: (talking.info().elapsed_s or 0) > 8)
    assert (talking.info().state, talking.info().health) == ("running", "ok")
    talking.cancel(force=True)


def test_the_log_says_what_runs(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """How long, how far, and how it is."""
    job, _ = function(daemon, jk, "each_second", name="import")

    def lines() -> list[dict[str, object]]:
        said = [json.loads(line) for line in daemon.log.splitlines() if "still_running" in line]
        return [line for line in said if line["job"] == job and line.get("progress") == "1"]

    until(lambda: len(lines()) > 1)
    last = lines()[-1]
    assert (last["event"], last["name"], last["run"], last["health"]) == ("still_running", "import", 1, "ok")
    assert str(last["elapsed"]).endswith(" s")
