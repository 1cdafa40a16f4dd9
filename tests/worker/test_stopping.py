"""Requests to stop, and how runs meet them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .fake_daemon import FakeDaemon


@pytest.fixture
def daemon(shared_daemon: FakeDaemon) -> FakeDaemon:
    return shared_daemon


def started(daemon: FakeDaemon, function: str, **arguments: Any) -> str:
    """A run that has told some progress."""
    run = daemon.order(function, **arguments)
    daemon.wait("Progress", run)
    return run


def waiting(daemon: FakeDaemon, function: str) -> str:
    """A run that has written a line."""
    run = daemon.order(function)
    until_written(daemon, run)
    return run


def until_written(daemon: FakeDaemon, run: str, word: bytes = b"\n") -> None:
    deadline = time.monotonic() + 60
    path = daemon.directory / f"{run}.out"
    while not (path.exists() and word in path.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("cancelled", "cancelled"),
        ("timeout", "cancelled"),
        ("restart", "interrupted"),
    ],
)
def test_a_waiting_function_is_cancelled_at_once(
    daemon: FakeDaemon, reason: str, outcome: str
) -> None:
    """The reason tells whether it was cancelled or only interrupted."""
    run = waiting(daemon, "sample:wait_for_ever")
    daemon.stop("j99.1", "cancelled")  # another run is not meant
    daemon.stop(run, reason)
    finish = daemon.wait("Finish", run)
    assert (finish["outcome"], finish["reason"], finish.get("clean", True)) == (outcome, reason, True)


def test_a_drain_leaves_a_function_alone_that_reaches_no_checkpoint(daemon: FakeDaemon) -> None:
    """Another reason to stop that comes later ends it at once, and is the one that counts."""
    run = daemon.order("sample:look_twice")
    until_written(daemon, run)
    daemon.stop(run, "drain")
    until_written(daemon, run, b"drain")
    daemon.stop(run, "cancelled")
    finish = daemon.wait("Finish", run)
    assert (finish["outcome"], finish["reason"], finish.get("clean", True)) == ("cancelled", "cancelled", True)


def test_a_drain_takes_a_function_at_its_checkpoint(daemon: FakeDaemon) -> None:
    """Which is reported before its end, so that it is durable by then."""
    run = started(daemon, "sample:checkpoint_at_gate", gate=str(daemon.directory / "gate_of_drain"))
    daemon.stop(run, "drain")
    (daemon.directory / "gate_of_drain").touch()
    finish = daemon.wait("Finish", run)
    assert (finish["outcome"], finish["reason"]) == ("interrupted", "drain")
    order = [method for method, report in daemon.reports if report.get("run") == run and method != "Beat"]
    assert order == ["Progress", "Checkpoint", "Finish"]


def test_a_late_success_is_a_success(daemon: FakeDaemon) -> None:
    """Of a function that swallows its cancellation, or that has looked and ends by itself."""
    run = waiting(daemon, "sample:swallow")
    daemon.stop(run)
    assert daemon.wait("Finish", run)["result"] == "late"
    run = waiting(daemon, "sample:look")
    daemon.stop(run, "drain")
    assert daemon.wait("Finish", run)["result"] == "looked: drain"


def test_a_function_that_swallows_its_cancellation_is_cancelled_once_a_second(daemon: FakeDaemon) -> None:
    """It may clean up, and does not spin."""
    run = daemon.order("sample:swallow_often", times=3)
    until_written(daemon, run)
    daemon.stop(run)
    finish = daemon.wait("Finish", run)
    assert finish["outcome"] == "succeeded"
    assert min(finish["result"]) > 0.5


def test_a_plain_function_is_stopped_in_its_context(daemon: FakeDaemon) -> None:
    """It wakes from its sleep."""
    run = started(daemon, "sample:sleep_blocking")
    daemon.stop(run)
    assert daemon.wait("Finish", run)["outcome"] == "cancelled"


def test_a_run_stopped_before_it_begins_is_not_begun(daemon: FakeDaemon) -> None:
    """Its function is not called."""
    first = started(daemon, "sample:checkpoint_at_gate", gate=str(daemon.directory / "gate"))
    second = daemon.order("sample:talk")
    daemon.stop(second)
    daemon.stop(first, "drain")
    (daemon.directory / "gate").touch()
    assert daemon.wait("Finish", second)["outcome"] == "cancelled"
    assert daemon.output(second) == b""
