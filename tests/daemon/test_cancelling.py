"""Jobs that are told to end, and how they take it: each ends within its graces, and its lock is free no sooner."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import jobkeep
from crash.judges import processes_of
from jobkeep.testing import PrivateDaemon

from .holders import PATIENCE, until

JOBS = '''
import asyncio, ctypes, os, signal, time

def note(log, word):
    with open(log, "a") as file:
        file.write(f"{word} {time.monotonic()} {os.getpid()}\\n")

async def obedient(ctx, log):
    note(log, "ready")
    try:
        await asyncio.sleep(600)
    finally:
        note(log, "told")

async def swallow(ctx, log):
    note(log, "ready")
    while True:
        try:
            await asyncio.sleep(0.02)
        except BaseException:
            note(log, "swallowed")

async def break_down(ctx, log):
    note(log, "ready")
    try:
        await asyncio.sleep(600)
    finally:
        raise ValueError("cannot clean up")

def spin(ctx, log):
    note(log, "ready")
    while True:
        pass

def ignore_term(ctx, log):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spin(ctx, log)

def sleep_in_c(ctx, log):
    note(log, "ready")
    ctypes.PyDLL(None).sleep(600)
'''


@pytest.fixture
def daemon() -> PrivateDaemon:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="4")
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    return private


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with daemon as client:
        yield client


class Scene:
    """A job under a lock, and another one that waits for it."""

    def __init__(self, daemon: PrivateDaemon, jk: jobkeep.BlockingClient, name: str, **options: object) -> None:
        self._log = daemon.home / "log"
        self._home = daemon.home
        arguments = {"log": str(self._log)}
        options = {"lock": "crm", **options}
        self.job = jk.call(f"jobs:{name}", arguments, cwd=str(daemon.home), **options)  # type: ignore[arg-type]
        until(lambda: self.noted("ready"))
        self.pid = int(self.noted("ready")[0][1])
        heir = f"kill -0 {self.pid} 2>/dev/null && echo alive || echo gone"
        self.heir = jk.run(["sh", "-c", heir], lock="crm")

    def noted(self, word: str) -> list[tuple[float, str]]:
        """When, and by which process."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        found = [line.split() for line in lines]
        return [(float(at), pid) for said, at, pid in found if said == word]

    def cancel(self, *, force: bool = False) -> float:
        """The seconds from the call to the end that is on record."""
        began = time.monotonic()
        self.job.cancel(force=force)
        ended = self.job.wait(timeout=PATIENCE)
        assert (ended.state, ended.attempt) == ("cancelled", 1)
        return time.monotonic() - began

    def heir_found(self) -> str:
        """What the next holder of the lock saw of the process that had it before."""
        assert self.heir.wait(timeout=PATIENCE).state == "succeeded"
        return next(iter(self.heir.logs()))


def test_a_request_to_stop_reaches_a_job_at_once(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """It is pushed: no heartbeat has to come by first."""
    took = []
    for number in range(5):
        log = daemon.home / f"log{number}"
        job = jk.call("jobs:obedient", {"log": str(log)}, cwd=str(daemon.home), grace="30s")
        until(lambda log=log: log.exists() and "ready" in log.read_text())  # type: ignore[misc]
        asked = time.monotonic()
        job.cancel()
        assert job.wait(timeout=PATIENCE).state == "cancelled"
        took.append(float(log.read_text().split("told ")[1].split()[0]) - asked)
    print(f"a job heard of its cancellation after {min(took) * 1000:.1f} to {max(took) * 1000:.1f} ms")
    assert min(took) < 2.5  # beats come every 5 s


def test_a_swallowed_cancellation_is_delivered_again_and_then_enforced(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Within grace and the last chance after SIGTERM; whoever has the lock next finds the process gone."""
    scene = Scene(daemon, jk, "swallow", grace="3s", retries=3)
    took = scene.cancel()
    assert len(scene.noted("swallowed")) >= 2
    assert 3.0 <= took < 3.0 + 4.0 + 30.0  # on a busy host
    assert scene.heir_found() == "gone"


@pytest.mark.parametrize(("name", "steps"), [("spin", 1), ("sleep_in_c", 1), ("ignore_term", 2)])
def test_a_thread_that_never_returns_ends_too(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, name: str, steps: int
) -> None:
    """With SIGTERM after one grace, or with SIGKILL after another; nothing of it is left."""
    scene = Scene(daemon, jk, name, grace="1s")
    assert steps <= scene.cancel() < steps + 30.0  # on a busy host
    assert scene.heir_found() == "gone"
    assert scene.pid not in processes_of(daemon.home)


def test_force_skips_what_is_left_of_the_graces(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """Also while a patient cancellation is under way."""
    scene = Scene(daemon, jk, "swallow", grace="1h")
    scene.job.cancel()
    until(lambda: scene.noted("swallowed"))
    assert scene.job.info().state == "cancelling"
    assert scene.cancel(force=True) < 60.0  # of an hour
    assert scene.heir_found() == "gone"


def test_an_error_while_a_job_is_cancelled_is_no_reason_to_retry(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """It is cancelled, once and for all."""
    scene = Scene(daemon, jk, "break_down", retries=3, backoff="0s")
    scene.cancel()
    assert scene.heir_found() in ("gone", "alive")  # the worker lives on, without the run
    assert [run.outcome for run in scene.job.info().runs] == ["cancelled"]


def test_a_job_that_does_not_get_its_turn_in_time_says_so(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """It has not run, and its lock goes on to who waits behind it."""
    scene = Scene(daemon, jk, "obedient")
    hasty = jk.run(["true"], lock="crm", queue_timeout="0.5s")
    ended = hasty.wait(timeout=PATIENCE)
    assert ended.outcome is not None
    assert (ended.state, ended.attempt, ended.runs) == ("failed", 0, [])
    assert ended.outcome.reason == "timed out in the queue after 0.5 s: it waited for its lock crm"
    scene.cancel()
    assert scene.heir.wait(timeout=PATIENCE).state == "succeeded"


def test_the_time_of_a_run_goes_on_while_no_daemon_is_there(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """By the kernel's clock, from its start on: a daemon that comes when it is over ends the run at once."""
    scene = Scene(daemon, jk, "obedient", timeout="8s", grace="1s")
    daemon.kill()
    until(lambda: time.monotonic() >= scene.noted("ready")[0][0] + 8.0)  # without a daemon
    with daemon.start() as again:
        began = time.monotonic()
        ended = again.job(scene.job.id).wait(timeout=PATIENCE)
    assert ended.outcome is not None
    assert ended.outcome.reason == "timed out after 8 s"
    assert scene.noted("told")[0][0] - began < 8.0
