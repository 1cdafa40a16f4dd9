"""Who sees the end of a run when its parents are killed: its spawner, the kernel, or nobody; never an invented code."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobkeep.blocking.jobs import BlockingJobHandle
from jobkeep.protocol.jobs import Job

from .judges import is_alive, slay
from .scene import Scene, until

BATCH = '''
import os

async def batch(ctx, log: str, gate: str, stop_at: int):
    """Each item writes a line; item `stop_at` waits until the gate's file is there."""
    async def one(item: int) -> str:
        while item == stop_at and not os.path.exists(gate):
            await ctx.sleep(0.01)
        with open(log, "a") as file:
            file.write(f"{item}\\n")
        return "done"
    return (await ctx.for_each(range(30), one, key=str, every=5)).tallies
'''


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene() as scene:
        (scene.home / "batch_jobs.py").write_text(BATCH, encoding="utf-8")
        os.mkfifo(scene.home / "gate")
        yield scene


class Running:
    """A command that has begun, knows its pid, and goes on once `let_go` is called."""

    def __init__(self, scene: Scene, then: str, before: str = "", **options: Any) -> None:
        home = scene.home
        self._gate = home / "gate"
        body = f"{before} echo $$ > {home}/pid.new; mv {home}/pid.new {home}/pid; read -r _ < {self._gate}; {then}"
        self.job = scene.client.run(scene.log.command(body), **options)
        until((home / "pid").exists)
        self.leader = int((home / "pid").read_text())

    def let_go(self) -> None:
        self._gate.write_text("\n")


def put_down(scene: Scene, *pids: int | None) -> None:
    for pid in pids:
        assert pid is not None
        assert slay(pid, scene.home)
    until(lambda: not any(is_alive(pid) for pid in pids if pid))


def put_down_slots(scene: Scene) -> None:
    """Until none lives: one that is looked at may be handing its run over, from its shim to its warden."""
    while shims := scene.shims:
        for pid in shims:
            slay(pid, scene.home)
        until(lambda pids=shims: not any(map(is_alive, pids)))  # type: ignore[misc]


def only_run(job: Job) -> tuple[str, str | None, int | None, int | None]:
    (run,) = job.runs
    return job.state, run.outcome, run.exit_code, run.signal


def on_disk(scene: Scene, job: BlockingJobHandle) -> dict[str, Any]:
    """The latest run as the store keeps it; the daemon is stopped for that."""
    scene.stop_daemon()
    with closing(sqlite3.connect(scene.home / "state/jobs.sqlite")) as database:
        (text,) = database.execute("SELECT run FROM job WHERE id = ?", (job.id,)).fetchone()
    scene.start_daemon()
    return dict(json.loads(text))


@pytest.mark.parametrize("daemon_too", [False, True], ids=["daemon lives", "daemon comes back"])
def test_a_killed_shim_costs_no_exit_code_and_no_usage(scene: Scene, daemon_too: bool) -> None:
    """The spawner inherits the leader, and records its raw status and what it used."""
    run = Running(scene, "exit 37")
    put_down_slots(scene)
    if daemon_too:
        scene.kill_daemon()
        run.let_go()
        until(lambda: not is_alive(run.leader))
        scene.start_daemon()
    else:
        run.let_go()
    assert only_run(run.job.wait(timeout=120)) == ("failed", "failed", 37, None)
    kept = on_disk(scene, run.job)
    assert kept["status"] == 37 << 8
    assert kept["usage"]["max_rss_kib"] > 0
    assert scene.log.violations() == []


def test_the_raw_status_and_usage_of_a_run_that_ended_without_a_daemon_are_its_own(scene: Scene) -> None:
    """A signal is no exit code; the shim has seen it."""
    run = Running(scene, "kill -USR1 $$")
    scene.kill_daemon()
    run.let_go()
    until(lambda: not is_alive(run.leader))
    scene.start_daemon()
    assert only_run(run.job.wait(timeout=120)) == ("failed", "failed", None, signal.SIGUSR1)
    kept = on_disk(scene, run.job)
    assert kept["status"] == signal.SIGUSR1
    assert kept["usage"]["max_rss_kib"] > 0


def test_a_shim_that_is_killed_while_the_rest_of_its_run_ends_leaves_nothing_behind(scene: Scene) -> None:
    """The exit of the leader is on record by then; what it has left is ended by the spawner, the deaf one included."""
    rest = scene.home / "rest"
    deaf = f"(trap '' TERM; echo > {rest}.ready; while :; do sleep 1; done) & echo $! > {rest}; "
    run = Running(scene, "exit 5", f"{deaf} until [ -e {rest}.ready ]; do :; done;", grace="0.5s")
    run.let_go()
    until(lambda: not is_alive(run.leader))
    put_down_slots(scene)
    assert only_run(run.job.wait(timeout=120)) == ("failed", "failed", 5, None)
    assert not is_alive(int(rest.read_text()))


def test_a_killed_spawner_is_replaced_and_its_run_goes_on(scene: Scene) -> None:
    """The run does not notice. The next one gets a slot of the new spawner."""
    run = Running(scene, "exit 9")
    before = scene.spawner
    put_down(scene, before)
    run.let_go()
    assert only_run(run.job.wait(timeout=120)) == ("failed", "failed", 9, None)
    put_down_slots(scene)
    assert scene.client.run(["sh", "-c", "exit 0"]).wait(timeout=120).state == "succeeded"
    assert scene.spawner not in (None, before)


def test_with_shim_and_spawner_killed_the_exit_is_the_true_one_or_none(scene: Scene) -> None:
    """A kernel of 6.15 and later still tells the status to a daemon that watches; otherwise the run is lost."""
    run = Running(scene, "exit 11")
    put_down_slots(scene)
    put_down(scene, scene.spawner)
    run.let_go()
    ended = only_run(run.job.wait(timeout=120))
    assert ended in [("failed", "failed", 11, None), ("failed", "lost", None, None)]


def test_a_run_whose_end_nobody_saw_is_lost_and_fails_its_job(scene: Scene) -> None:
    """All are killed at once, as by a power cut that the disk survived: no code is known, and none is told."""
    run = Running(scene, "exit 0")
    kill_everything(scene, run.leader)
    scene.start_daemon()
    assert only_run(run.job.wait(timeout=120)) == ("failed", "lost", None, None)
    assert "status" not in (kept := on_disk(scene, run.job)) or kept["status"] is None
    assert scene.log.runs() == {(run.job.id, 1)}
    run.job.resume()
    until(lambda: (run.job.id, 2) in scene.log.runs())
    run.let_go()
    assert run.job.wait(timeout=120).state == "succeeded"


def kill_everything(scene: Scene, leader: int) -> None:
    """First those who could see the end, then the leader. While that is a zombie, the kernel could still tell."""
    scene.kill_daemon()
    put_down_slots(scene)
    put_down(scene, scene.spawner)
    put_down(scene, leader)
    until(lambda: not Path(f"/proc/{leader}").exists())


@pytest.mark.parametrize("on_lost", ["resume", None])
def test_a_lost_function_goes_on_from_its_checkpoint_if_that_is_declared(scene: Scene, on_lost: str | None) -> None:
    """Else it has failed, and goes on from there when somebody says so; fewer than `every` items are done twice."""
    log, gate = scene.home / "items", scene.home / "opened"
    options: dict[str, Any] = {} if on_lost is None else {"on_lost": on_lost}
    arguments = {"log": str(log), "gate": str(gate), "stop_at": 17}
    job = scene.client.call("batch_jobs:batch", arguments, cwd=str(scene.home), **options)
    until(lambda: log.exists() and len(log.read_text().split()) == 17)
    (worker,) = scene.workers
    kill_everything(scene, worker)
    gate.touch()
    scene.start_daemon()
    if on_lost is None:
        assert only_run(job.wait(timeout=120)) == ("failed", "lost", None, None)
        job.resume()
    assert job.result(timeout=60) == {"done": 30}
    assert [run.outcome for run in job.info().runs] == ["lost", "succeeded"]
    done = list(map(int, log.read_text().split()))
    assert set(done) == set(range(30))
    assert len(done) - 30 < 5


def test_a_run_that_is_lost_again_and_again_without_progress_ends(scene: Scene) -> None:
    """Poison is not taken for ever: the third time it has failed."""
    pid = Path(scene.home / "pid")
    run = Running(scene, "exit 0", on_lost="resume")
    for number in (1, 2, 3):
        until(lambda number=number: (run.job.id, number) in scene.log.runs())  # type: ignore[misc]
        until(pid.exists)
        leader = int(pid.read_text())
        pid.unlink()
        kill_everything(scene, leader)
        scene.start_daemon()
    job = run.job.wait(timeout=120)
    assert (job.state, [each.outcome for each in job.runs]) == ("failed", ["lost"] * 3)
    assert "poison" in str(job.runs[-1].reason)
