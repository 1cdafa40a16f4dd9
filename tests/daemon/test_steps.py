"""Steps against a real daemon: killed anywhere, none that was acknowledged is run again."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from crash.judges import processes_of, slay
from jobkeep.testing import PrivateDaemon

from .test_crashes import wait_for

PATIENCE = "60s"
PIPELINE = """
import os

def log(folder, word, number):
    with open(f"{folder}/log", "a") as file:
        file.write(f"{word} {number}\\n")

def pipeline(ctx, folder: str, count: int, names: list[str] = []):
    \"\"\"Each step logs that it runs, waits for its gate, and logs that its result was acknowledged.\"\"\"
    def one(number):
        log(folder, "run", number)
        while not os.path.exists(f"{folder}/gate") and not os.path.exists(f"{folder}/gate{number}"):
            ctx.sleep(0.002)
        return [number, ctx.run_number]
    results = []
    for number in range(count):
        results.append(ctx.step(names[number] if names else f"step{number}", one, number))
        log(folder, "acked", number)
    return results
"""


class Log:
    """What the job has written outside of jobkeep, line after line."""

    def __init__(self, home: Path) -> None:
        self._path = home / "log"

    def lines(self) -> list[tuple[str, int]]:
        text = self._path.read_text() if self._path.exists() else ""
        return [(word, int(number)) for word, number in (line.split() for line in text.splitlines())]

    def has(self, word: str, number: int) -> bool:
        return (word, number) in self.lines()

    def run_after_their_acknowledgement(self) -> list[int]:
        """Steps that began again although their result had been handed to the job."""
        acked: set[int] = set()
        again = []
        for word, number in self.lines():
            if word == "acked":
                acked.add(number)
            elif number in acked:
                again.append(number)
        return again


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon()
    (private.home / "steps.py").write_text(PIPELINE, encoding="utf-8")
    private.start().close()
    yield private
    private.stop()


def connected(daemon: PrivateDaemon) -> jobkeep.BlockingClient:
    return jobkeep.connect_blocking(str(daemon.socket), autostart=False)


def submit(daemon: PrivateDaemon, count: int, **options: Any) -> str:
    arguments = {"folder": str(daemon.home), "count": count}
    with connected(daemon) as jk:
        return jk.call("steps:pipeline", arguments, cwd=str(daemon.home), **options).id


def worker_of(daemon: PrivateDaemon) -> int:
    return next(pid for pid, command in processes_of(daemon.home).items() if "jobkeep.worker" in command)


def open_gates(daemon: PrivateDaemon, *numbers: int) -> None:
    for number in numbers:
        (daemon.home / f"gate{number}").touch()


@pytest.mark.parametrize("place", ["before", "after"])
def test_steps_made_without_a_daemon_survive_the_worker(daemon: PrivateDaemon, place: str) -> None:
    """Whether the next daemon finds the worker dead, or it dies before it could say a word to that daemon."""
    log = Log(daemon.home)
    job = submit(daemon, 5)
    open_gates(daemon, 0)
    wait_for(lambda: log.has("run", 1))
    daemon.kill()
    open_gates(daemon, 1, 2)
    wait_for(lambda: log.has("run", 3))
    worker = worker_of(daemon)
    if place == "after":
        os.kill(worker, signal.SIGSTOP)
    else:
        assert slay(worker, daemon.home)
    with daemon.start() as jk:
        if place == "after":
            assert slay(worker, daemon.home)
        assert jk.job(job).wait(timeout=PATIENCE).state == "failed"
        (daemon.home / "gate").touch()
        jk.job(job).resume()
        assert jk.job(job).result(timeout=PATIENCE) == [[0, 1], [1, 1], [2, 1], [3, 2], [4, 2]]
    assert log.run_after_their_acknowledgement() == []
    assert [number for word, number in log.lines() if word == "run"] == [0, 1, 2, 3, 3, 4]
    wait_for(lambda: not list((daemon.home / "state/spool").iterdir()))


def test_a_worker_that_outlives_its_daemon_hands_over_its_steps(daemon: PrivateDaemon) -> None:
    """In the same run, and in order."""
    log = Log(daemon.home)
    job = submit(daemon, 4)
    wait_for(lambda: log.has("run", 0))
    daemon.kill()
    open_gates(daemon, 0, 1)
    wait_for(lambda: log.has("run", 2))
    with daemon.start() as jk:
        (daemon.home / "gate").touch()
        assert jk.job(job).result(timeout=PATIENCE) == [[number, 1] for number in range(4)]
    assert [number for word, number in log.lines() if word == "run"] == [0, 1, 2, 3]
    wait_for(lambda: not list((daemon.home / "state/spool").iterdir()))


def test_any_series_of_kills_runs_no_acknowledged_step_again(daemon: PrivateDaemon) -> None:
    """Worker, daemon or both, one after the other, somewhere in the eleven steps that were let through meanwhile."""
    chance = random.Random(7)
    log = Log(daemon.home)
    job = submit(daemon, 100, on_lost="resume", retries=40, backoff="0.01s")
    kills = 0
    for first in range(0, 88, 11):
        open_gates(daemon, *range(first, first + 11))
        reached = first + chance.randrange(11)
        wait_for(lambda reached=reached: log.has("run", reached))
        victims = chance.choice((("worker",), ("daemon",), ("worker", "daemon"), ("daemon", "worker")))
        for victim in victims:
            if victim == "daemon":
                daemon.kill()
            else:
                living = processes_of(daemon.home).items()
                kills += sum(slay(pid, daemon.home) for pid, command in living if "jobkeep.worker" in command)
        if "daemon" in victims:
            daemon.start().close()
    (daemon.home / "gate").touch()
    with connected(daemon) as jk:
        results = jk.job(job).result(timeout=PATIENCE)
        assert [number for number, _ in results] == list(range(100))
        assert [run for _, run in results] == sorted(run for _, run in results)
    assert kills >= 3
    assert log.run_after_their_acknowledgement() == []


def test_a_changed_order_fails_the_job_at_once_and_keeps_what_there_is(daemon: PrivateDaemon) -> None:
    """No retry is wasted on it; the old code goes on from where it was."""
    (daemon.home / "gate0").touch()
    job = submit(daemon, 2, retries=5, backoff="0.01s")
    log = Log(daemon.home)
    wait_for(lambda: log.has("run", 1))
    source = daemon.home / "steps.py"
    source.write_text(PIPELINE.replace('f"step{number}"', 'f"stage{number}"'), encoding="utf-8")
    assert slay(worker_of(daemon), daemon.home)
    with connected(daemon) as jk:
        info = jk.job(job).wait(timeout=PATIENCE)
        assert info.outcome is not None
        assert info.outcome.error is not None
        assert (info.state, info.outcome.error.type, info.attempt) == ("failed", "StepsChanged", 2)
        assert "was 'step0' when its result was stored, and is now 'stage0'" in info.outcome.error.message
        source.write_text(PIPELINE, encoding="utf-8")
        (daemon.home / "gate").touch()
        jk.job(job).resume()
        assert jk.job(job).result(timeout=PATIENCE) == [[0, 1], [1, 3]]


def test_restart_from_the_start_forgets_the_steps(daemon: PrivateDaemon) -> None:
    """A plain restart does not."""
    (daemon.home / "gate0").touch()
    job = submit(daemon, 2)
    log = Log(daemon.home)
    wait_for(lambda: log.has("run", 1))
    with connected(daemon) as jk:
        jk.job(job).restart()
        wait_for(lambda: [one for one in log.lines() if one == ("run", 1)][1:])
        assert log.lines().count(("run", 0)) == 1
        (daemon.home / "gate0").unlink()
        jk.job(job).restart(from_start=True)
        wait_for(lambda: log.lines().count(("run", 0)) == 2)
        (daemon.home / "gate").touch()
        assert jk.job(job).result(timeout=PATIENCE) == [[0, 3], [1, 3]]
