"""The trace that a submit is part of goes on in the job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

ONE, OTHER = (f"00-{'ab' * 16}-{digit * 16}-01" for digit in "12")
JOBS = """
import os

def trace() -> list:
    return [os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE"), os.getpid()]
"""


@pytest.fixture(scope="module")
def jk() -> Iterator[jobkeep.BlockingClient]:
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
    (daemon.home / "traced.py").write_text(JOBS)
    with daemon as jk:
        jk.home = str(daemon.home)  # type: ignore[attr-defined]
        yield jk


def test_a_command_has_the_trace_of_its_submitter(
    jk: jobkeep.BlockingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is told another one; a repeated request may come from another trace."""
    monkeypatch.setenv("TRACEPARENT", ONE)
    monkeypatch.setenv("TRACESTATE", "vendor=1")
    job = jk.run(["sh", "-c", "echo $TRACEPARENT $TRACESTATE"], request_id="once")
    told = jk.run(["sh", "-c", "echo $TRACEPARENT"], env={"TRACEPARENT": "mine"})
    monkeypatch.setenv("TRACEPARENT", OTHER)
    assert jk.run(["sh", "-c", "echo $TRACEPARENT $TRACESTATE"], request_id="once").id == job.id
    assert [*job.logs(follow=True), *told.logs(follow=True)] == [f"{ONE} vendor=1", "mine"]


def test_calls_of_several_traces_share_a_worker(jk: jobkeep.BlockingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees its own, and one without a trace sees none."""
    home: str = jk.home  # type: ignore[attr-defined]
    said = []
    for parent in (ONE, OTHER, None):
        if parent is None:
            monkeypatch.delenv("TRACEPARENT", raising=False)
        else:
            monkeypatch.setenv("TRACEPARENT", parent)
        said.append(jk.call("traced:trace", cwd=home).result(timeout="60s"))
    assert [each[:2] for each in said] == [[ONE, None], [OTHER, None], [None, None]]
    assert len({each[2] for each in said}) == 1
