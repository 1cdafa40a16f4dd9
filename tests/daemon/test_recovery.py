"""Recovery and explanations, with a real daemon."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .conftest import JOBS, Cli
from .test_crashes import wait_for, worker_of


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    """One that soon takes a function for late."""
    private = PrivateDaemon(JOBKEEP_JOBS_HEARTBEAT_INTERVAL="0.5s", JOBKEEP_JOBS_LATE_AFTER="3s")
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    with private:
        yield private


def test_a_worker_that_stands_still_is_found_checked_ended_and_resumed(daemon: PrivateDaemon, cli: Cli) -> None:
    """The check says what the real run does; its process is gone before another run of the job begins."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    call = ("call", "-d", "--on-lost", "resume", "--label", "client=acme", "jobs:batch")
    job = cli(*call, f"log={log}", "count=40", f"gate={gate}", "stop_at=17").stdout.strip()
    wait_for(lambda: log.exists() and len(log.read_text().split()) == 17)
    worker = worker_of(daemon, job)
    os.kill(worker, signal.SIGSTOP)
    gate.touch()

    def silent() -> bool:
        (row,) = json.loads(cli("recover", "--check", "--older-than", "1s", "--json").stdout)
        return bool(row["action"] == "resume")

    wait_for(silent)
    (row,) = json.loads(cli("recover", "--check", "--older-than", "1s", "--json").stdout)
    assert (row["id"], row["verdict"], row["labels"]) == (job, "silent", {"client": "acme"})
    assert row["progress"]["done"] >= 15
    assert Path(f"/proc/{worker}").exists()
    (done,) = json.loads(cli("recover", "--older-than", "1s", "--json").stdout)
    assert done["action"] == "resume"
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        assert jk.job(job).result(timeout="120s") == {"even": 20, "odd": 16, "failed": 4}
        kinds = [event.kind for event in jk.history(job)]
    assert kinds.count("recovered") == 1
    assert not Path(f"/proc/{worker}").exists()
    assert set(map(int, log.read_text().split())) == set(range(40))


def test_explain_names_the_holder_of_a_lock(daemon: PrivateDaemon, cli: Cli) -> None:
    """In the words of the daemon."""
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        first = jk.run(["sleep", "600"], lock="crm")
        wait_for(lambda: first.info().state == "running")
        second = jk.run(["true"], lock="crm")
        reasons = second.explain().reasons
        assert [reason.kind for reason in reasons] == ["lock"]
        assert f"held by run 1 of job {first.id}" in reasons[0].text
        assert cli("explain", second.id).stdout.splitlines()[1].startswith("  - it waits for lock crm, held by run 1")
        first.cancel(force=True)
        assert second.wait(timeout="120s").state == "succeeded"
