"""Retention by a real daemon: what is too many goes, from the database and from the disk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon


def outputs(daemon: PrivateDaemon) -> set[str]:
    """The jobs whose output is on disk."""
    return {path.name.partition(".")[0] for path in Path(daemon.home, "state/logs/runs").iterdir()}


def test_only_the_latest_are_kept_and_nothing_of_the_others() -> None:
    """Jobs and their output; what waits is not counted, and is kept; a daemon that is killed meanwhile goes on."""
    daemon = PrivateDaemon(
        JOBKEEP_QUEUES_DEFAULT_LIMIT="1", JOBKEEP_QUEUES_DEFAULT_KEEP_COUNT="2", JOBKEEP_RETENTION_INTERVAL="0.2s"
    )
    with daemon as jk:
        waiting = jk.run(["true"], delay="1h").id
        jobs = [jk.run(["echo", "x"]).id for _ in range(6)]
        jk.wait(jobs[-1:], timeout="60s")
        daemon.kill()
        with daemon.start() as again:
            deadline = time.monotonic() + 60
            while {job.id for job in again.jobs()} != {waiting, *jobs[-2:]} or outputs(daemon) != set(jobs[-2:]):
                assert time.monotonic() < deadline, (list(again.jobs()), outputs(daemon))
                time.sleep(0.05)
            assert [line for line in again.job(jobs[-1]).logs()]
            with pytest.raises(jobkeep.NotFound):
                again.job(jobs[0]).info()
            removed = [event for event in again.events() if event.kind == "removed"]
            assert [event.job for event in removed] == jobs[:4]
            assert {event.data["reason"] for event in removed} == {"retention"}
