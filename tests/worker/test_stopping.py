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


def until_written(daemon: FakeDaemon, run: str) -> None:
    deadline = time.monotonic() + 10
    path = daemon.directory / f"{run}.out"
    while not (path.exists() and path.read_bytes()):
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("cancelled", "cancelled"),
        ("timeout", "cancelled"),
        ("restart", "interrupted"),
        ("drain", "interrupted"),
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
    run = daemon.order("sample:swallow_for_ever", seconds=1.6)
    until_written(daemon, run)
    daemon.stop(run)
    assert daemon.wait("Finish", run)["outcome"] == "succeeded"
    assert daemon.output(run).splitlines() == [b"waiting", b"cancelled", b"cancelled"]


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


def test_a_stop_reaches_a_run_after_many_short_ones(daemon: FakeDaemon) -> None:
    """Whichever thread reads the orders at that moment."""
    for turn in range(10):
        for number in range(turn):
            daemon.order("sample:add" if number % 2 else "sample:add_async", a=number)
        run = waiting(daemon, "sample:wait_for_ever")
        begin = time.monotonic()
        daemon.stop(run)
        assert daemon.wait("Finish", run)["outcome"] == "cancelled"
        assert time.monotonic() - begin < 1
