"""Results of steps on their way between a job and its daemon, also while that is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .fake_daemon import FakeDaemon, Worker
from .test_daemon_gone import appearing, vanishing
from .test_stopping import started


def saved(daemon: FakeDaemon) -> list[tuple[int, str, Any]]:
    return [(p["ordinal"], p["name"], p["result"]) for name, p in daemon.reports if name == "SaveStep"]


def test_results_are_saved_with_run_and_fence_before_the_job_goes_on(daemon: FakeDaemon, worker: Worker) -> None:
    """Async and threaded steps alike; the threads are gone with the run."""
    finish = daemon.finish_of("sample:steps_async")
    pid = worker.process.pid
    assert (finish["result"], finish.get("clean", True)) == ([3, pid], True)
    assert saved(daemon) == [(0, "async", 3), (1, "thread", pid)]
    first = daemon.wait("SaveStep", "j1.1")
    assert (first["run"], first["fence"]) == ("j1.1", 1)


def test_stored_results_are_fetched_and_their_steps_not_run(daemon: FakeDaemon, worker: Worker) -> None:
    """In both kinds of job; the steps behind them are run and saved."""
    daemon.results = [[0, -1], [1, -1], [2, -1]]
    gate = daemon.directory / "gate"
    gate.touch()
    run = daemon.send_run("sample:steps_at_gate", {"gate": str(gate)}, steps=["step0", "step1", "step2"])
    pid = worker.process.pid
    assert daemon.wait("Finish", run)["result"] == [[0, -1], [1, -1], [2, -1], [3, pid]]
    assert saved(daemon) == [(3, "step3", [3, pid])]
    daemon.results = [30]
    again = daemon.send_run("sample:steps_async", {}, steps=["async"])
    assert daemon.wait("Finish", again)["result"] == [30, pid]


def test_a_changed_step_fails_the_job_by_name(daemon: FakeDaemon, worker: Worker) -> None:
    """And for good: to try again would not help."""
    run = daemon.send_run("sample:steps_async", {}, steps=["fetch"])
    error = daemon.wait("Finish", run)["error"]
    assert error["type"] == "StepsChanged"
    assert "'fetch'" in error["message"]
    assert "'async'" in error["message"]


def test_steps_without_a_daemon_are_durable_on_disk_and_handed_over_in_order(
    daemon: FakeDaemon, worker: Worker
) -> None:
    """The job goes on; each file goes once the next daemon has its step."""
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:steps_at_gate", gate=str(gate))
    daemon.wait("SaveStep", run, number=2)
    daemon.vanish()
    gate.touch()
    pid = worker.process.pid
    assert appearing(worker.spool / f"{run}.finish")["result"] == [[n, pid] for n in range(4)]
    assert appearing(worker.spool / f"{run}.step2")["result"] == [2, pid]
    assert appearing(worker.spool / f"{run}.step3")["ordinal"] == 3
    assert not (worker.spool / f"{run}.step1").exists()
    daemon.reports.clear()
    daemon.open()
    daemon.wait("Finish", run)
    assert [name for name, _ in daemon.reports if name != "Beat"] == ["SaveStep", "SaveStep", "Finish"]
    assert [ordinal for ordinal, _, _ in saved(daemon)] == [2, 3]
    for name in ("step2", "step3", "finish"):
        vanishing(worker.spool / f"{run}.{name}")


def test_an_unanswered_step_is_said_again(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """A daemon that took it without a reply gets it once more, and the job gets by with the disk meanwhile."""
    daemon.silent = {"SaveStep"}
    worker = start(reply_s=0.5, backoff_limit_s=0.05)
    pid = worker.process.pid
    assert daemon.finish_of("sample:steps_async")["result"] == [3, pid]
    assert len([1 for ordinal, _, _ in saved(daemon) if ordinal == 0]) > 1


def test_a_step_that_is_refused_fails_its_job_with_the_daemons_words(daemon: FakeDaemon, worker: Worker) -> None:
    """It does not count as stored."""
    daemon.refuse = {"SaveStep": "org.jobkeep.Jobs.Refused"}
    error = daemon.finish_of("sample:steps_async")["error"]
    assert (error["type"], error["message"]) == ("InvalidRequest", "the daemon refused it: no")


def test_a_result_that_the_daemon_does_not_have_fails_the_job(daemon: FakeDaemon, worker: Worker) -> None:
    """Rather than to wait for it."""
    daemon.refuse = {"StepResult": "org.jobkeep.Jobs.Invalid"}
    run = daemon.send_run("sample:steps_async", {}, steps=["async"])
    assert daemon.wait("Finish", run)["error"]["type"] == "InvalidRequest"


def test_a_fenced_worker_leaves_no_step_behind(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """What it had on disk is another run's matter by then."""
    worker = start(fenced_s=0.1)
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:steps_at_gate", gate=str(gate), last=str(daemon.directory / "never"))
    daemon.wait("SaveStep", run, number=2)
    daemon.vanish()
    gate.touch()
    appearing(worker.spool / f"{run}.step2")
    daemon.refuse = {"SaveStep": "org.jobkeep.Worker.StaleToken"}
    daemon.open()
    assert worker.exit_code() == 3
    assert list(worker.spool.iterdir()) == []
