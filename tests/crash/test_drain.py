"""A real daemon is drained, killed, stopped and started: no item is done twice, none is left out, no tally is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from daemon.conftest import command_line
from jobkeep.testing import PrivateDaemon

PATIENCE = "60s"
COUNT = 1000  # so many that the order to stop arrives before the last of them, on a busy host as well
TALLIES = {"even": COUNT // 2, "odd": COUNT // 2 - COUNT // 10, "failed": COUNT // 10}
JOBS = '''
import os, time

def label(item, log):
    with open(log, "a") as file:
        file.write(f"{item}\\n")
    if item % 10 == 3:
        raise ValueError(f"item {item} is bad")
    return "even" if item % 2 == 0 else "odd"

def is_shut(gate, log):
    open(log + ".gate", "w").close()
    return not os.path.exists(gate)

async def batch(ctx, log: str, count: int, concurrency: int = 1, gate: str = "", at: int = -1) -> dict:
    """Item `at` waits for the gate; the others take a moment, until there is a file `hurry`."""
    async def one(item: int) -> str:
        await ctx.sleep(0 if os.path.exists("hurry") else 0.004)
        while item == at and is_shut(gate, log):
            await ctx.sleep(0.01)
        return label(item, log)
    return (await ctx.for_each(range(count), one, key=str, every=5, concurrency=concurrency)).tallies

def plain_batch(ctx, log: str, count: int, gate: str = "", at: int = -1) -> dict:
    def one(item: int) -> str:
        ctx.sleep(0 if os.path.exists("hurry") else 0.004)
        while item == at and is_shut(gate, log):
            ctx.sleep(0.01)
        return label(item, log)
    return ctx.for_each(range(count), one, key=str, every=5).tallies

async def sleeper(ctx, log: str) -> str:
    if ctx.restored is None:
        await ctx.checkpoint("asleep")
        label(0, log)
        await ctx.sleep(3600)
    return f"{ctx.restored}, run {ctx.run_number}"

def no_checkpoint(log: str, gate: str) -> str:
    label(0, log)
    while not os.path.exists(gate):
        time.sleep(0.01)
    return "done"
'''



@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="2")
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    with private:
        yield private


@contextmanager
def connected(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as jk:
        yield jk


def call(daemon: PrivateDaemon, function: str, **arguments: Any) -> str:
    """Submit a function; the job's id."""
    given = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    with connected(daemon) as jk:
        return jk.call(f"jobs:{function}", given, cwd=str(daemon.home)).id


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.005)


def items(log: Path) -> list[int]:
    """What has been done, in order."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def is_at_gate(log: Path) -> bool:
    """Its item is in work, which no interruption ends; the one before it may be done and this one not begun."""
    return log.with_name(log.name + ".gate").exists()


class Draining:
    """`jobkeep daemon drain` under way: it has begun, and waits."""

    def __init__(self, daemon: PrivateDaemon, *arguments: str) -> None:
        self.done: subprocess.CompletedProcess[str]
        self._run = lambda: command_line(daemon.socket, daemon.home, "daemon", "drain", "--json", *arguments)
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()
        with connected(daemon) as jk:
            until(lambda: jk.status().draining, "the drain")

    def _drain(self) -> None:
        self.done = self._run()

    def report(self) -> dict[str, Any]:
        """Its answer."""
        self._thread.join()
        return dict(json.loads(self.done.stdout or "{}"))


@pytest.mark.parametrize(("function", "more"), [("batch", {}), ("batch", {"concurrency": 4}), ("plain_batch", {})])
def test_drained_batches_go_on_with_the_next_daemon(daemon: PrivateDaemon, function: str, more: dict[str, int]) -> None:
    """Two run, two more are claimed ahead: of each batch every item is done once, and the tallies are exact."""
    gate = daemon.home / "gate"
    logs = [daemon.home / f"log{number}" for number in range(4)]
    jobs = [call(daemon, function, log=log, count=COUNT, gate=gate, at=20, **more) for log in logs]
    until(lambda: all(map(is_at_gate, logs[:2])), "the item at the gate")
    draining = Draining(daemon, "--timeout", PATIENCE)
    gate.touch()
    report = draining.report()
    assert draining.done.returncode == 0, draining.done.stderr
    assert {(run["id"], run["run"]) for run in report["interrupted"]} == {(job, 1) for job in jobs[:2]}
    assert (report["ended"], report["running"]) == ([], [])
    before = [items(log) for log in logs]
    assert [bool(done) for done in before] == [True, True, False, False]
    with connected(daemon) as jk:
        infos = [jk.job(job).info() for job in jobs]
        assert {(info.state, info.held) for info in infos} == {("queued", "the daemon is draining")}
        assert [info.attempt for info in infos] == [1, 1, 0, 0]  # the claims are revoked
        assert [info.progress.done for info in infos] == [len(done) for done in before]
    with connected(daemon) as jk:
        jk.stop_daemon()
    assert daemon.wait() == 0
    (daemon.home / "hurry").touch()
    with daemon.start() as jk:
        assert [jk.job(job).result(timeout=PATIENCE) for job in jobs] == [TALLIES] * 4
        assert [jk.job(job).info().attempt for job in jobs] == [2, 2, 1, 1]
    assert [sorted(items(log)) for log in logs] == [list(range(COUNT))] * 4


def test_a_daemon_killed_during_a_drain_leaves_no_trace_of_it(daemon: PrivateDaemon) -> None:
    """The next one starts what is queued; what was asked to drain is interrupted where it can be, and goes on."""
    gate = daemon.home / "gate"
    logs = [daemon.home / f"log{number}" for number in range(3)]
    jobs = [call(daemon, "batch", log=log, count=COUNT, gate=gate, at=20) for log in logs]
    until(lambda: all(map(is_at_gate, logs[:2])), "the item at the gate")
    draining = Draining(daemon)
    daemon.kill()
    draining.report()
    assert draining.done.returncode == 4
    with daemon.start() as jk:
        assert not jk.status().draining
        (daemon.home / "hurry").touch()
        gate.touch()
        assert [jk.job(job).result(timeout=PATIENCE) for job in jobs] == [TALLIES] * 3
    assert [sorted(items(log)) for log in logs] == [list(range(COUNT))] * 3


def test_a_drain_that_cannot_be_over_says_so_and_a_cancellation_gets_through(daemon: PrivateDaemon) -> None:
    """Drained again once the job in its way is gone; the item it was at is not done."""
    log, started = daemon.home / "log", daemon.home / "started"
    job = call(daemon, "batch", log=log, count=COUNT, gate=daemon.home / "gate", at=20)
    with connected(daemon) as jk:
        command = jk.run(["sh", "-c", f"echo > {started}; exec sleep 600"])
        until(lambda: is_at_gate(log) and started.exists(), "the item at the gate")
        draining = Draining(daemon, "--timeout", "0.3s")
        report = draining.report()
        assert {run["id"] for run in report["running"]} == {job, command.id}, (report, command.info())
        assert draining.done.returncode == 124
        jk.job(job).cancel()
        drained = jk.drain(PATIENCE, "leave")
        assert (drained.drained, [run.id for run in drained.running]) == (True, [command.id])
        assert [(run.id, run.outcome) for run in drained.ended] == [(job, "cancelled")]
        assert jk.job(job).info().state == "cancelled"
        command.cancel(force=True)
        assert jk.drain(PATIENCE).drained
    assert items(log) == list(range(20))


def test_a_function_without_checkpoints_outlives_drain_and_daemon(daemon: PrivateDaemon) -> None:
    """It is asked and never made to: one run, done once."""
    log, gate = daemon.home / "log", daemon.home / "gate"
    job = call(daemon, "no_checkpoint", log=log, gate=gate)
    until(lambda: items(log) == [0], "the start")
    with connected(daemon) as jk:
        report = jk.drain("0.2s")
        assert (report.drained, [run.id for run in report.running]) == (False, [job])
    daemon.stop()
    with daemon.start() as jk:
        gate.touch()
        assert jk.job(job).result(timeout=PATIENCE) == "done"
        assert jk.job(job).info().attempt == 1
    assert items(log) == [0]


def test_a_sleeping_function_that_has_a_checkpoint_is_woken(daemon: PrivateDaemon) -> None:
    """And continues from it once the drain is called off, with the same daemon."""
    log = daemon.home / "log"
    job = call(daemon, "sleeper", log=log)
    until(lambda: items(log) == [0], "the sleep")
    with connected(daemon) as jk:
        report = jk.drain(PATIENCE)
        assert (report.drained, [run.id for run in report.interrupted]) == (True, [job])
        late = jk.run(["true"])
        assert (late.info().state, late.info().held) == ("queued", "the daemon is draining")
        assert jk.undrain()
        assert jk.job(job).result(timeout=PATIENCE) == "asleep, run 2"
        assert late.result(timeout=PATIENCE) == 0


def test_a_daemon_that_is_to_drain_when_it_is_stopped_does(tmp_path: Path) -> None:
    """Functions are queued again when it is gone, commands run on; a second SIGTERM cuts it short."""
    private = PrivateDaemon(JOBKEEP_DAEMON_ON_STOP="drain", JOBKEEP_DAEMON_DRAIN_TIMEOUT="50s")
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    log, gate, stuck = private.home / "log", private.home / "gate", private.home / "stuck"
    with private as jk:
        command = jk.run(["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.01; done"]).id
        job = call(private, "batch", log=log, count=COUNT, gate=private.home / "item", at=20)
        until(lambda: is_at_gate(log), "the item at the gate")
        jk.stop_daemon()
        until(lambda: private.log.count("drain_started") == 1, "the drain")
        (private.home / "item").touch()
        assert private.wait() == 0
        assert len(items(log)) < COUNT
        (private.home / "hurry").touch()
        with private.start() as jk:
            gate.touch()
            assert jk.job(job).result(timeout=PATIENCE) == TALLIES
            assert (jk.job(command).result(timeout=PATIENCE), jk.job(job).info().attempt) == (0, 2)
            call(private, "no_checkpoint", log=stuck, gate=private.home / "never")
            until(lambda: items(stuck) == [0], "the start")
        os.kill(private.pid, signal.SIGTERM)
        until(lambda: private.log.count("drain_started") == 2, "the second drain")
        began = time.monotonic()
        private.stop()
        assert time.monotonic() - began < 30
        with private.start() as jk:
            for each in jk.jobs(state=["running"]):
                jk.job(each.id).cancel(force=True)
        assert sorted(items(log)) == list(range(COUNT))
