"""Functions of a worker that is killed with its daemon: what it had begun is over, what it had not runs once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from jobkeep.blocking.jobs import BlockingJobHandle
from jobkeep.protocol.jobs import Job

from .judges import slay
from .scene import Scene, until


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene() as scene:
        yield scene


def ends(job: Job) -> list[tuple[str | None, int | None, int | None]]:
    return [(run.outcome, run.exit_code, run.signal) for run in job.runs]


@pytest.fixture
def pair(scene: Scene) -> tuple[BlockingJobHandle, BlockingJobHandle]:
    """A function that runs and never ends, and one that is claimed for the same worker."""
    gate = scene.home / "gate"
    os.mkfifo(gate)
    begun, claimed = scene.call(gate=str(gate)), scene.call()
    until(lambda: (begun.id, 1) in scene.log.runs())
    until(lambda: claimed.info().attempt == 1)
    return begun, claimed


def check(scene: Scene, begun: BlockingJobHandle, claimed: BlockingJobHandle) -> None:
    assert ends(begun.wait(timeout=120)) == [("failed", None, signal.SIGKILL)]
    assert ends(claimed.wait(timeout=120)) == [("interrupted", None, None), ("succeeded", None, None)]
    assert scene.log.runs() == {(begun.id, 1), (claimed.id, 2)}
    assert scene.log.violations() == []


def test_a_function_that_was_only_claimed_runs_after_worker_and_daemon_are_killed(
    scene: Scene, pair: tuple[BlockingJobHandle, BlockingJobHandle]
) -> None:
    """It was committed as started for this very worker; that the worker had not begun it is on record."""
    (worker,) = scene.workers
    scene.kill_daemon()
    assert slay(worker, scene.home)
    scene.start_daemon()
    check(scene, *pair)


def test_a_function_that_was_only_claimed_runs_after_its_worker_died_without_a_word_to_the_new_daemon(
    scene: Scene, pair: tuple[BlockingJobHandle, BlockingJobHandle]
) -> None:
    """Both runs were adopted, since the worker lived; it was stopped, and is killed before it can say what it has."""
    (worker,) = scene.workers
    os.kill(worker, signal.SIGSTOP)
    scene.kill_daemon()
    scene.start_daemon()
    assert slay(worker, scene.home)
    check(scene, *pair)


def test_what_a_living_worker_has_not_begun_runs_once(
    scene: Scene, pair: tuple[BlockingJobHandle, BlockingJobHandle]
) -> None:
    """The daemon alone is killed: the worker says which run it has, and its record which ones it ever had."""
    begun, claimed = pair
    scene.kill_daemon()
    scene.start_daemon()
    (scene.home / "gate").write_text("")
    assert ends(begun.wait(timeout=120)) == [("succeeded", None, None)]
    assert claimed.wait(timeout=120).state == "succeeded"
    assert scene.log.violations() == []
    assert scene.log.starts() == {begun.id: 1, claimed.id: 1}
