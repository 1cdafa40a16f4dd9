"""A daemon that goes away and comes back, or that does not want the worker any more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .fake_daemon import FakeDaemon, Worker
from .test_stopping import started


def appearing(path: Path) -> Any:
    """What is in a file, once it is there."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
    return json.loads(path.read_bytes())


def vanishing(path: Path) -> None:
    deadline = time.monotonic() + 60
    while path.exists():
        assert time.monotonic() < deadline, f"{path} is still there"


def test_reports_are_spooled_without_a_daemon_and_handed_over_once(
    daemon: FakeDaemon, worker: Worker
) -> None:
    """Checkpoint, then end; the files go once both have arrived."""
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:items", number=13, wait_at=4, gate=str(gate))
    daemon.vanish()
    gate.touch()
    finish = appearing(worker.spool / f"{run}.finish")
    assert finish["result"] == {"ok": 10, "failed": 3}
    checkpoint = appearing(worker.spool / f"{run}.checkpoint")
    assert checkpoint["done"] == 13
    daemon.reports.clear()
    daemon.open()
    daemon.wait("Finish", run)
    assert [(name, report.get("seq")) for name, report in daemon.reports if name != "Beat"] == [
        ("Checkpoint", checkpoint["seq"]),
        ("Finish", None),
    ]
    assert (daemon.attached[1]["run"], daemon.attached[1]["fence"]) == (run, 1)
    vanishing(worker.spool / f"{run}.finish")
    assert list(worker.spool.iterdir()) == []
    assert daemon.finish_of("sample:add", a=1)["result"] == 2
    assert len([1 for name, report in daemon.reports if name == "Finish" and report["run"] == run]) == 1


def test_unacknowledged_failures_are_merged_into_the_newest_checkpoint(
    daemon: FakeDaemon, worker: Worker
) -> None:
    """A daemon that took them without a reply gets them again."""
    daemon.silent = {"Checkpoint"}
    gate = daemon.directory / "gate"
    arguments = {"number": 9, "wait_at": 8, "gate": str(gate)}
    run = daemon.send_run("sample:items", arguments, checkpoint_every=100)
    daemon.wait("Checkpoint", run)
    daemon.wait("Progress", run)
    daemon.silent = set()
    daemon.vanish()
    daemon.reports.clear()
    daemon.open()
    first = daemon.wait("Checkpoint", run)
    assert [item["key"] for item in first["failed"]] == ["3", "7"]
    gate.touch()
    assert daemon.wait("Finish", run)["result"] == {"ok": 7, "failed": 2}


def test_a_running_job_is_announced_to_the_next_daemon(daemon: FakeDaemon, worker: Worker) -> None:
    """With run and fence, so that it can be adopted; stops reach it again."""
    run = started(daemon, "sample:sleep_blocking")
    for number in (1, 2):
        daemon.vanish()
        daemon.open()
        daemon.until(lambda number=number: len(daemon.attached) > number, "attach")  # type: ignore[misc]
        assert (daemon.attached[-1]["run"], daemon.attached[-1]["fence"]) == (run, 1)
    daemon.stop(run)
    assert daemon.wait("Finish", run)["outcome"] == "cancelled"


def test_an_order_that_has_not_begun_dies_with_its_connection(daemon: FakeDaemon, worker: Worker) -> None:
    """The daemon sees by what is announced that nobody has it, and gives it to somebody else."""
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:checkpoint_at_gate", gate=str(gate))
    behind = daemon.order("sample:talk")
    daemon.vanish()
    daemon.open()
    daemon.until(lambda: len(daemon.attached) > 1, "attach")
    assert daemon.attached[-1]["run"] == run
    gate.touch()
    daemon.wait("Finish", run)
    assert daemon.finish_of("sample:add", a=1)["result"] == 2
    assert behind not in {report["run"] for _, report in daemon.reports}


def test_a_daemon_that_has_no_room_is_asked_again(daemon: FakeDaemon, worker: Worker) -> None:
    """The end of the run is on disk in the meantime."""
    daemon.refuse = {"Finish": "org.jobkeep.Admin.StorageFull"}
    run = daemon.order("sample:add", a=1)
    appearing(worker.spool / f"{run}.finish")
    daemon.refuse = {}
    vanishing(worker.spool / f"{run}.finish")


@pytest.mark.parametrize("function", ["sample:spin", "sample:long_item", "sample:sleep_blocking"])
def test_a_worker_without_a_lease_ends_and_says_nothing_more(
    daemon: FakeDaemon, start: Callable[..., Worker], function: str
) -> None:
    """Even where the function cannot be cancelled."""
    worker = start(fenced_s=0.1)
    started(daemon, function)
    daemon.expel("org.jobkeep.Worker.StaleToken")
    assert worker.exit_code() == 3
    assert "Finish" not in [name for name, _ in daemon.reports]


@pytest.mark.parametrize("error", ["StaleToken", "UnknownWorker"])
def test_a_refused_report_ends_the_worker(daemon: FakeDaemon, worker: Worker, error: str) -> None:
    """A checkpoint with an old fence stops its job."""
    daemon.refuse = {"Checkpoint": f"org.jobkeep.Worker.{error}"}
    daemon.order("sample:items", number=50)
    assert worker.exit_code() == 3
    assert "Finish" not in [name for name, _ in daemon.reports]


def test_a_stale_report_of_a_run_that_has_ended_harms_no_later_run(daemon: FakeDaemon, worker: Worker) -> None:
    """The daemon took the end from the spool: it refuses the checkpoint before it, and gives the worker another run."""
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:checkpoint_at_gate", gate=str(gate))
    daemon.vanish()
    gate.touch()
    appearing(worker.spool / f"{run}.finish")
    daemon.reports.clear()
    daemon.refuse = {"Checkpoint": "org.jobkeep.Worker.StaleToken"}
    daemon.open()
    daemon.wait("Finish", run)
    assert [name for name, _ in daemon.reports if name != "Beat"] == ["Checkpoint", "Finish"]
    vanishing(worker.spool / f"{run}.checkpoint")
    assert daemon.finish_of("sample:add", a=1)["result"] == 2


def test_a_checkpoint_that_is_refused_for_good_fails_its_job(daemon: FakeDaemon, worker: Worker) -> None:
    """With the daemon's words."""
    daemon.refuse = {"Checkpoint": "org.jobkeep.Jobs.TooLarge"}
    error = daemon.finish_of("sample:items", number=50)["error"]
    assert (error["type"], error["message"]) == ("TooLarge", "no")


def test_an_end_that_is_refused_for_good_is_reported_as_a_failure(daemon: FakeDaemon, worker: Worker) -> None:
    """Once, so that the job does not run for ever."""
    daemon.refuse = {"Finish": "org.jobkeep.Jobs.Invalid"}
    run = daemon.order("sample:add", a=1)
    assert daemon.wait("Finish", run, number=2)["error"]["message"] == "the daemon refused it: no"


def test_an_idle_worker_without_a_daemon_ends(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """With nothing to say it ends with success."""
    worker = start(idle_s=0.1)
    daemon.finish_of("sample:add", a=1)
    daemon.vanish()
    assert worker.exit_code() == 0


def test_a_worker_with_an_end_to_report_leaves_it_on_disk(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """It does not wait for ever for a daemon."""
    worker = start(idle_s=0.1)
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:checkpoint_at_gate", gate=str(gate))
    daemon.vanish()
    gate.touch()
    assert worker.exit_code() == 0
    assert appearing(worker.spool / f"{run}.finish")["result"] == "through"
    assert appearing(worker.spool / f"{run}.checkpoint")["state"] == {"at": "gate"}


def test_a_daemon_that_does_not_answer_is_left(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """Its silence must not hold the job: the checkpoint is durable on disk, and sent again."""
    daemon.silent = {"Checkpoint"}
    start(reply_s=0.5, backoff_limit_s=0.05)
    finish = daemon.finish_of("sample:items", number=13)
    assert finish["result"] == {"ok": 10, "failed": 3}
    daemon.until(lambda: len(daemon.attached) > 1, "second attach")  # on the other connection


def test_ends_that_were_acknowledged_are_not_said_again(daemon: FakeDaemon, worker: Worker) -> None:
    """Although nobody had read that when the daemon went away."""
    orders = [daemon.order("sample:add", a=n) for n in range(20)]
    daemon.wait("Finish", orders[-1])
    daemon.vanish()
    daemon.reports.clear()
    daemon.open()
    assert daemon.finish_of("sample:add", a=1)["result"] == 2
    assert [name for name, _ in daemon.reports if name != "Beat"] == ["Finish"]
    assert daemon.attached[-1].get("run") is None
    assert list(worker.spool.iterdir()) == []


def test_an_end_that_nobody_acknowledges_is_said_again(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """Also while the worker is busy with short runs."""
    daemon.silent = {"Finish"}
    start(reply_s=0.5, backoff_limit_s=0.05)
    daemon.finish_of("sample:add", a=1)
    daemon.until(lambda: len(daemon.attached) > 1, "second attach")
    daemon.silent = set()
    daemon.wait("Finish", "j1.1", number=2)
