"""Signs of life, and what makes a worker end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .fake_daemon import FakeDaemon, Worker
from .test_daemon_gone import vanishing
from .test_stopping import started, until_written, waiting


def test_a_batch_is_given_time_for_its_item_and_then_cancelled(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """What was finished before is in the last checkpoint."""
    start(attention_s=0.05)
    run = daemon.order("sample:long_item")
    daemon.wait("Progress", run)
    daemon.stop(run, "restart")
    assert daemon.wait("Finish", run)["outcome"] == "interrupted"
    assert daemon.wait("Checkpoint", run)["done"] == 1


def test_a_stop_reaches_a_run_after_many_short_ones(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """Whichever thread reads the orders at that moment: it does not have to come with the reply to a beat."""
    start(beat_s=3600.0)
    for turn in range(10):
        for number in range(turn):
            daemon.order("sample:add" if number % 2 else "sample:add_async", a=number)
        run = waiting(daemon, "sample:wait_for_ever")
        daemon.stop(run)
        assert daemon.wait("Finish", run)["outcome"] == "cancelled"


def test_ticks_of_a_blocked_loop_stay_the_same(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """Beats go on, from a thread."""
    start(beat_s=0.02)
    begin, gate = daemon.directory / "begin", daemon.directory / "gate"
    run = daemon.order("sample:block_loop", begin=str(begin), gate=str(gate))

    def ticks() -> list[int]:
        return [report.get("ticks") or 0 for name, report in daemon.reports if name == "Beat"]

    daemon.until(lambda: max(ticks(), default=0) > 1, "ticks")
    begin.touch()
    until_written(daemon, run)
    before = len(ticks())
    daemon.until(lambda: len(ticks()) >= before + 4, "beats")
    last = ticks()[-3:]
    gate.touch()
    assert len(set(last)) == 1
    plain = started(daemon, "sample:sleep_blocking")
    assert daemon.wait("Beat", plain).get("ticks") is None


@pytest.mark.parametrize("function", ["sample:leave_thread", "sample:leave_child"])
def test_a_run_that_leaves_something_behind_is_not_clean(
    daemon: FakeDaemon, worker: Worker, function: str
) -> None:
    """The worker ends after it has reported that."""
    finish = daemon.finish_of(function)
    assert (finish["outcome"], finish["clean"]) == ("succeeded", False)
    assert worker.exit_code() == 0


@pytest.mark.parametrize("function", ["sample:leave_thread", "sample:leave_child"])
def test_the_end_of_a_worker_s_last_run_is_on_disk_before_it_is_told(
    daemon: FakeDaemon, worker: Worker, function: str
) -> None:
    """The daemon ends it for that, and may die before it has stored the end: then nobody could say it again."""
    daemon.silent = {"Finish"}
    run = daemon.order(function)
    finish = daemon.wait("Finish", run)
    assert json.loads((worker.spool / f"{run}.finish").read_bytes())["outcome"] == finish["outcome"] == "succeeded"
    daemon.vanish()
    daemon.open()
    daemon.silent = set()
    vanishing(worker.spool / f"{run}.finish")


@pytest.mark.parametrize("function", ["sample:leave_thread_at_gate", "sample:leave_thread_at_gate_async"])
def test_an_order_behind_a_run_that_was_the_last_is_not_executed(
    daemon: FakeDaemon, worker: Worker, function: str
) -> None:
    """Nor is anything said about it, also where the connection is made anew."""
    gate = daemon.directory / "gate"
    run = started(daemon, function, gate=str(gate))
    behind = [daemon.order("sample:talk") for _ in range(2)]
    daemon.silent = {"Finish"}
    gate.touch()
    assert daemon.wait("Finish", run)["clean"] is False
    late = daemon.order("sample:talk")
    daemon.silent = set()
    daemon.vanish()
    daemon.open()
    assert worker.exit_code() == 0
    assert daemon.attached[-1]["run"] == run
    assert {report["run"] for _, report in daemon.reports} == {run}
    for order in (*behind, late):
        assert not (daemon.directory / f"{order}.out").exists()


def test_tasks_and_pool_threads_end_with_their_run(daemon: FakeDaemon, worker: Worker) -> None:
    """The loop is closed, and the worker stays."""
    for function in ("sample:leave_task", "sample:use_thread", "sample:leave_task"):
        finish = daemon.finish_of(function)
        assert finish["outcome"] == "succeeded"
        assert finish.get("clean", True)
    assert daemon.finish_of("sample:touched")["result"] is True


def test_a_worker_retires_when_told_to_or_after_its_runs(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """It finishes and reports what it has begun."""
    worker = start(run_limit=2)
    assert not daemon.finish_of("sample:touched").get("retire", False)
    assert daemon.finish_of("sample:touched")["retire"]
    assert worker.exit_code() == 0
    other = start()
    daemon.until(lambda: len(daemon.attached) == 2, "second worker")
    run = daemon.order("sample:add", a=1)
    daemon.send({"kind": "retire"})
    assert daemon.wait("Finish", run)["result"] == 2
    assert other.exit_code() == 0
