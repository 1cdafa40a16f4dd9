"""Processes of a job end with it, and the worker goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .fake_daemon import FakeDaemon, Worker
from .test_stopping import until_written


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_child_that_is_left_is_ended_with_the_function(daemon: FakeDaemon, worker: Worker, stubborn: bool) -> None:
    """By TERM, or by KILL after two seconds; the worker is as good as new, and what the children wrote is the run's."""
    run = daemon.order("sample:spawn_async", stubborn=str(daemon.directory / "deaf") if stubborn else None)
    finish = daemon.wait("Finish", run)
    code, pid, running = finish["result"]
    assert (code, running, finish.get("clean", True)) == (3, None, True)
    assert not Path(f"/proc/{pid}").exists()
    assert sorted(daemon.output(run).split(b"\n")) in ([b"", b"from a child"], [b"", b"from a child", b"ready"])
    assert daemon.finish_of("sample:add", a=1)["result"] == 2


def test_a_wait_for_a_child_ends_with_a_request_to_stop(daemon: FakeDaemon, worker: Worker) -> None:
    """A plain function's, too; the child ends as well."""
    run = daemon.order("sample:spawn_blocking")
    until_written(daemon, run)
    pid = int(daemon.output(run))
    assert os.path.exists(f"/proc/{pid}")
    daemon.stop(run)
    finish = daemon.wait("Finish", run)
    assert (finish["outcome"], finish.get("clean", True)) == ("cancelled", True)
    assert not os.path.exists(f"/proc/{pid}")
