"""What cannot be done on a cluster is the error of the job: what, why, and what to do. Without a cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from msgspec import Raw
from msgspec.structs import replace

from dask_bridge.stand_in import LAB, Scheduler, install
from dask_bridge.stand_in_daemon import Daemon
from dask_bridge.virtual import now, virtually
from jobkeep.dask_bridge import remote
from jobkeep.dask_bridge.bridge import terms
from jobkeep.dask_bridge.messages import (
    PROTOCOL,
    Begins,
    Downward,
    Ended,
    Fence,
    Go,
    Parcel,
    decode_ended,
    decode_upward,
    downward,
    encode,
)
from jobkeep.dask_bridge.settings import Cluster
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.worker import RunOrder

ONE = "tcp://one:1"
HINT = "start it, or correct [dask.lab] in the daemon's configuration"


def error_of(scheduler: Scheduler, cluster: Cluster = LAB, ends: Ended | Exception | None = None) -> str:
    """Of a run that fails; its task ends so."""

    async def story() -> str:
        carrying = asyncio.ensure_future(Daemon().carry(cluster))
        if ends is not None:
            while not scheduler.published:
                await asyncio.sleep(0.01)
            scheduler.end(ends)
        ending = await carrying
        assert ending.outcome == "failed"
        assert not ending.permanent  # it is tried again as the job's policy says
        assert ending.error is not None
        assert now() < 1000 + cluster.connect_timeout + 5.0
        return f"{ending.error.type}: {ending.error.message}"

    return virtually(story)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    there = Scheduler(ONE)
    install(monkeypatch, {LAB.address: there})
    return there


def test_a_scheduler_that_does_not_answer_is_told_with_what_can_be_done(scheduler: Scheduler) -> None:
    """By the name and address that the configuration has."""
    scheduler.leave()
    said = "no scheduler answers for dask:lab at tcp://lab:8786: Timed out trying to connect"
    assert error_of(scheduler) == f"ClusterUnreachable: {said}; {HINT}"


@pytest.mark.parametrize("content", [None, "{", '{"port": 1}'])
def test_a_scheduler_file_that_names_none_is_waited_for_as_long_as_a_scheduler_is(
    content: str | None, scheduler: Scheduler, tmp_path: Path
) -> None:
    """Dask would wait for ever."""
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    error = error_of(scheduler, Cluster(name="lab", scheduler_file=str(file)))
    assert error.startswith(f"ClusterUnreachable: no scheduler is named for dask:lab at {file}: ")
    assert error.endswith(f"; {HINT}")


def test_a_scheduler_of_another_release_is_told_as_that(scheduler: Scheduler) -> None:
    """Whatever Dask raises of it."""
    scheduler.refuses = TypeError("identity() got an unexpected keyword argument 'n_workers'")
    error = error_of(scheduler)
    assert "the scheduler of dask:lab at tcp://lab:8786 does not get on with distributed " in error
    assert "(identity() got an unexpected keyword argument 'n_workers'): install the same release" in error


def test_a_task_that_the_cluster_cannot_run_is_told_with_the_versions_that_differ(scheduler: Scheduler) -> None:
    """Python by its minor release, and each package once."""
    packages = {"python": "3.12.1.final.0", "distributed": "1.0", "dask": "1.0", "cloudpickle": "1.0", "jobkeep": "0.9"}
    scheduler.versions = {ONE: {"packages": packages}, "scheduler": {"packages": {**packages, "python": "3.11.9"}}}
    assert error_of(scheduler, ends=TypeError("code() argument 13 must be str")) == (
        "TypeError: the cluster could not run the task: code() argument 13 must be str; "
        f"python is 3.11 here and 3.12 on {ONE}, jobkeep is 1.0 here and 0.9 on {ONE}, "
        f"msgspec is 1.0 here and missing on {ONE}: install the same releases on both sides"
    )


def test_a_scheduler_that_does_not_understand_a_call_is_told_with_the_versions_that_differ(
    scheduler: Scheduler,
) -> None:
    """It is connected by then: releases that are a few months apart differ in what calls take."""
    scheduler.does_not_publish = TypeError("put() got an unexpected keyword argument 'names'")
    scheduler.versions = {"scheduler": {"packages": {"python": "3.11.7", "distributed": "0.9", "dask": "1.0"}}}
    assert error_of(scheduler) == (
        "VersionMismatch: the scheduler of dask:lab at tcp://lab:8786 does not get on with this bridge "
        "(put() got an unexpected keyword argument 'names'); distributed is 1.0 here and 0.9 on the scheduler, "
        "cloudpickle is 1.0 here and missing on the scheduler: install the same releases on both sides"
    )
    scheduler.versions = {}
    assert error_of(scheduler).endswith("TypeError: put() got an unexpected keyword argument 'names'")


def test_where_no_version_differs_none_is_told(scheduler: Scheduler) -> None:
    """Nor where nobody says."""
    said = "TypeError: the cluster could not run the task: no"
    assert error_of(scheduler, ends=TypeError("no")) == said


@pytest.mark.parametrize("missing", ["jobkeep", "jobkeep.dask_bridge", "msgspec", "anyio"])
def test_a_worker_without_what_the_bridge_needs_there_is_told_what_to_install(
    missing: str, scheduler: Scheduler
) -> None:
    """It is where the workers run that something is missing."""
    error = ModuleNotFoundError(f"No module named {missing!r}", name=missing)
    hint = "install jobkeep[dask] where the workers of the cluster run"
    assert error_of(scheduler, ends=error) == f"ModuleNotFoundError: No module named {missing!r}: {hint}"


def test_a_task_of_another_protocol_fails_the_run_with_that(scheduler: Scheduler) -> None:
    """It has not even asked whether it may begin."""
    ended = Ended(start="", outcome="failed", error=ErrorInfo("VersionMismatch", "the bridge 2"))
    assert error_of(scheduler, ends=ended) == "VersionMismatch: the bridge 2"


# On the worker of the cluster


class Worker:
    """Stands for the Dask worker that runs a task, and for its client: the log of both topics."""

    address = ONE

    def __init__(self, *said: Any, lets: bool = True) -> None:
        self.loop = SimpleNamespace(add_callback=lambda call, *arguments: call(*arguments))
        self._log = [encode(Downward("b", number, each)).decode() for number, each in enumerate(said, 1)]
        self._lets = lets
        self._heard: Any = None

    def log_event(self, topic: str, said: Any) -> None:
        if topic == downward("t"):
            self._heard((0.0, said))
        elif self._lets and isinstance((message := decode_upward(said)).said, Begins):
            self._heard((0.0, encode(Downward("c", 1, Go(message.sender)))))

    def subscribe_topic(self, topic: str, heard: Any) -> None:
        self._heard = heard

    def unsubscribe_topic(self, topic: str) -> None:
        pass

    def get_events(self, topic: str) -> list[tuple[float, str]]:
        return [(0.0, said) for said in self._log]


def carried_out(
    patch: pytest.MonkeyPatch, function: str, worker: Worker, arguments: bytes = b"{}", **changes: Any
) -> Ended:
    """The end of a task there."""
    order = RunOrder(
        run="j.1", fence=1, function=function, arguments=Raw(arguments), job="j", name="j", number=1, cookie="",
        stdout="", stderr="",
    )  # fmt: skip
    patch.setattr(remote, "get_worker", lambda: worker)
    patch.setattr(remote, "get_client", lambda: worker)
    return decode_ended(remote.carry_out(encode(replace(Parcel(PROTOCOL, "t", order, terms(LAB)), **changes))))


def large() -> str:
    """More than a result may have."""
    return "x" * 300_000


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nowhere.at.all:f", f"(on the Dask worker {ONE}; what jobs need has to be installed there, or on the PYTHON"),
        ("dask_bridge.test_refusals:f", f"has no 'f' (on the Dask worker {ONE}; what jobs need has to be installed"),
        ("dask_bridge.test_refusals:large", "over the limit of 262144: store it elsewhere, and return where it is"),
    ],
)
def test_what_cannot_be_done_there_says_what_to_do(
    function: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that cannot be imported there, and a result that is too large."""
    ended = carried_out(monkeypatch, function, Worker())
    assert ended.outcome == "failed"
    assert not ended.permanent
    assert ended.error is not None
    assert said in ended.error.message


def test_a_parcel_of_another_protocol_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is in it: both versions are told, and what to do."""
    parcel = b'{"protocol": 7, "topic": {"new": "shape"}}'
    monkeypatch.setattr(remote, "get_worker", lambda: SimpleNamespace(address=ONE))
    ended = decode_ended(remote.carry_out(parcel))
    assert (ended.start, ended.outcome, ended.refused) == ("", "failed", False)
    assert ended.error == ErrorInfo(
        "VersionMismatch",
        f"jobkeep on the Dask worker {ONE} speaks version {PROTOCOL} of the bridge's protocol, the bridge 7: "
        "install the same release on both sides",
    )


@pytest.mark.parametrize("said", [Fence(), Go("another")])
def test_a_start_that_is_not_let_go_runs_nothing_and_keeps_nobody_waiting(
    said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is over, or has another start: the word is in the log, whenever it comes."""
    patient = replace(terms(LAB), lease_s=3600.0)
    ended = carried_out(monkeypatch, "dask_bridge.test_refusals:large", Worker(said, lets=False), terms=patient)
    assert ended.refused
    assert ended.error is None
