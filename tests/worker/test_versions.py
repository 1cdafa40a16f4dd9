"""A worker and a daemon of different releases: they settle on a version, or part without harm."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Raw

from jobkeep.protocol import worker as wire
from jobkeep.worker.absence import Absence
from jobkeep.worker.handshake import Handshake, NotUnderstood
from jobkeep.worker.renewal import Origin
from jobkeep.worker.settings import Settings

from .fake_daemon import FakeDaemon, Worker
from .test_daemon_gone import appearing
from .test_stopping import started, waiting

SETTINGS = Settings(socket="", seat="", cookie="", spool="", origin=Origin({}), idle_s=60.0, backoff_s=1.0)


def refusal(oldest: int, newest: int) -> Raw:
    return Raw(json.dumps({"message": "no", "protocol": 9, "oldest": oldest, "newest": newest}).encode())


def test_a_newer_worker_speaks_as_its_daemon_does(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """It begins with its own version, is told the daemon's, and dials again with the newest that both know."""
    daemon.knows = range(1, 3)
    start(speaks=(1, 4))
    daemon.until(lambda: len(daemon.attached) == 2, "second Attach")
    assert [hello["protocol"] for hello in daemon.attached] == [4, 2]
    assert daemon.finish_of("sample:add", a=1)["result"] == 2


def test_a_worker_that_has_no_version_in_common_ends_at_once(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """It has no run, so there is nothing to wait for; its log says why."""
    worker = start(speaks=(3, 4))
    assert worker.exit_code() == 0
    assert "not known" in worker.log.read_text()


def test_a_run_under_way_ends_in_the_spool_when_the_next_daemon_is_not_understood(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """The run goes on to its end, which is put on disk; then the worker ends."""
    worker = start()
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:items", number=13, wait_at=4, gate=str(gate))
    daemon.vanish()
    daemon.knows = range(2, 3)
    daemon.open()
    daemon.until(lambda: len(daemon.attached) >= 2, "second Attach")
    assert daemon.attached[1]["run"] == run
    gate.touch()
    assert appearing(worker.spool / f"{run}.finish")["result"] == {"ok": 10, "failed": 3}
    assert appearing(worker.spool / f"{run}.checkpoint")["done"] == 13
    assert worker.exit_code() == 0


def test_a_daemon_that_understands_comes_in_time(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """The worker goes on asking while its run lasts."""
    start()
    gate = daemon.directory / "gate"
    run = started(daemon, "sample:items", number=13, wait_at=4, gate=str(gate))
    daemon.vanish()
    daemon.knows = range(2, 3)
    daemon.open()
    daemon.until(lambda: len(daemon.attached) >= 2, "second Attach")
    daemon.knows = range(1, 3)
    daemon.until(lambda: daemon.has_worker, "accepted Attach")
    gate.touch()
    assert daemon.wait("Finish", run)["result"] == {"ok": 10, "failed": 3}


def test_a_worker_without_a_daemon_sleeps(daemon: FakeDaemon, start: Callable[..., Worker]) -> None:
    """However long the daemon has been away while a run lasts, the link only wakes up to dial."""
    worker = start(idle_s=0.2)
    waiting(daemon, "sample:wait_for_ever")
    daemon.vanish()
    deadline = time.monotonic() + 60
    while "the daemon is gone" not in worker.log.read_text():
        assert time.monotonic() < deadline
    time.sleep(0.2)  # it has been alone for long by now
    before, began = wakings(worker.process.pid), time.monotonic()
    time.sleep(1.0)  # the claim is about a while in which nothing happens
    assert wakings(worker.process.pid) - before < 200 * (time.monotonic() - began)


def wakings(pid: int) -> int:
    """How often its threads have waited for something."""
    tasks = Path(f"/proc/{pid}/task").glob("*/status")
    return sum(int(task.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]) for task in tasks)


@pytest.mark.parametrize(("daemon_knows", "spoken"), [((1, 2), 2), ((2, 9), 3), ((3, 3), 3)])
def test_the_newest_common_version_is_taken(
    daemon_knows: tuple[int, int], spoken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those from the oldest to the newest of either."""
    monkeypatch.setattr(wire, "OLDEST", 2)
    monkeypatch.setattr(wire, "PROTOCOL", 3)
    handshake = Handshake(SETTINGS)
    handshake.version = 7
    with pytest.raises(ConnectionError) as told:
        handshake.settle(refusal(*daemon_knows))
    assert not isinstance(told.value, NotUnderstood)
    assert handshake.version == spoken


@pytest.mark.parametrize("daemon_knows", [(1, 1), (4, 5)])
def test_without_a_common_version_the_next_daemon_is_offered_ours(
    daemon_knows: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another one."""
    monkeypatch.setattr(wire, "OLDEST", 2)
    monkeypatch.setattr(wire, "PROTOCOL", 3)
    handshake = Handshake(SETTINGS)
    with pytest.raises(NotUnderstood, match="no"):
        handshake.settle(refusal(*daemon_knows))
    assert handshake.version == 3


def test_an_absence_is_long_after_a_while_or_when_the_daemon_will_never_do() -> None:
    """And its end is no reason to wake up again and again."""
    absence = Absence(SETTINGS, 100.0)
    assert not absence.is_long(159.0)
    assert absence.due(159.0) == [100.0, 160.0]
    assert absence.is_long(160.0)
    assert absence.due(160.0) == [100.0]
    absence.begin(200.0, for_long=False)
    assert not absence.is_long(201.0)
    absence.begin(202.0, for_long=True)
    assert absence.is_long(202.0)
    assert absence.dial_at > 202.0
