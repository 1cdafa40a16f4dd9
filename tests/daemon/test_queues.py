"""Queues of a real daemon: paused and limited at run time, across its death."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import jobkeep
from crash.judges import Door
from jobkeep.testing import PrivateDaemon

from .conftest import Cli
from .holders import PATIENCE, until


def test_a_paused_queue_stays_paused_after_kill_9_and_says_by_whom(daemon: PrivateDaemon, cli: Cli) -> None:
    """Nothing of it starts; what ran goes on; resumed, each job runs once."""
    gate, log = daemon.home / "gate", daemon.home / "log"
    wait = ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done; echo ran >> {log}"]
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        running = [jk.run(wait) for _ in range(2)]
        until(lambda: all(job.info().state == "running" for job in running))
        waiting = [jk.run(["sh", "-c", f"echo ran >> {log}"]) for _ in range(3)]
        done = cli("queue", "pause", "default", "--reason", "new disk")
        assert (done.returncode, "paused by" in done.stdout) == (0, True)
        assert jk.limit_queue("default", 3, reason="night").limit == 3
    daemon.kill()
    gate.touch()
    with daemon.start() as jk:
        (queue,) = jk.queues()
        assert (queue.limit, queue.configured) == (3, 2)
        assert queue.paused is not None
        assert (queue.paused.uid, queue.paused.reason) == (os.getuid(), "new disk")
        assert [job.wait(timeout=PATIENCE).state for job in (jk.job(job.id) for job in running)] == ["succeeded"] * 2
        later = jk.run(["true"])
        for id in (*(job.id for job in waiting), later.id):
            (first, *_) = jk.job(id).explain().reasons
            assert first.kind == "paused"
            assert first.text.endswith(": new disk")
            assert jk.job(id).info().state == "queued"
        jk.resume_queue("default")
        jk.wait([*(job.id for job in waiting), later.id], timeout=PATIENCE)
        assert log.read_text().split() == ["ran"] * 5


@pytest.fixture
def one_per_client() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="4", JOBKEEP_LIMITS_CLIENT_MAX_RUNNING="1")
    with private:
        yield private


def test_a8_one_job_of_a_client_at_a_time_also_across_kill_9(one_per_client: PrivateDaemon) -> None:
    """Clients run side by side, each with one job; who is adopted still counts; what waits says for whom."""
    daemon = one_per_client
    doors = {client: Door(daemon.home / client) for client in ("acme", "other")}
    gate = daemon.home / "gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        jobs = [
            jk.run(door.command(script), label={"client": client}) for _ in range(4) for client, door in doors.items()
        ]
        until(lambda: sum(job.info().state == "running" for job in jobs) == 2)
        assert {job.info().labels["client"] for job in jobs if job.info().state == "running"} == {"acme", "other"}
        waiting = jobs[-1].info()
        assert waiting.held == "it waits for the limit of the label client=other"
        (first, *_) = jobs[-1].explain().reasons
        assert first.text.startswith("of the label client=other at most 1 job may run at once; job ")
    daemon.kill()
    with daemon.start() as jk:
        jobs = [jk.job(job.id) for job in jobs]
        jobs.append(jk.run(doors["acme"].command("sleep 0.05"), label={"client": "acme"}))
        gate.touch()
        ended = jk.wait([job.id for job in jobs], timeout=PATIENCE)
    assert {(job.state, job.attempt) for job in ended} == {("succeeded", 1)}
    assert [door.violations() for door in doors.values()] == [[], []]
