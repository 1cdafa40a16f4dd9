"""An I/O error of the disk, at every call that writes the database: what the daemon says, and what is there later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient

from .judges import StartLog
from .traced import Fault, TracedDaemon, traced

JOBS = """
async def batch(ctx, log, count):
    async def one(item):
        with open(log, "a") as file:
            file.write(f"{item}\\n")
        return "odd" if item % 2 else "even"
    return (await ctx.for_each(range(count), one, key=str, every=1)).tallies
"""
COUNT = 6
PATIENCE = "180s"


@pytest.fixture
def daemon() -> Iterator[TracedDaemon]:
    with traced() as daemon:
        (daemon.home / "jobs.py").write_text(JOBS, encoding="utf-8")
        yield daemon


class Submits:
    """Five submits with request ids, and which of them were acknowledged."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.log = StartLog(home / "starts")
        self.acknowledged: dict[str, str] = {}  # request -> job

    def make(self, jk: BlockingClient) -> list[str]:
        """All of them, for the first time or again; the ids in order. What was acknowledged once stays so."""
        arguments = {"log": str(self._home / "items"), "count": COUNT}
        here = str(self._home)
        self._keep("batch", jk.call("jobs:batch", arguments, cwd=here, request_id="batch").id)
        for number in range(4):
            self._keep(f"c{number}", jk.run(self.log.command(), cwd=here, request_id=f"c{number}").id)
        return list(self.acknowledged.values())

    def _keep(self, request: str, job: str) -> None:
        assert self.acknowledged.setdefault(request, job) == job


def strike(daemon: TracedDaemon, fault: Fault) -> bool:
    """Work until the fault has ended the daemon, or has not come; then hold it to what it has promised."""
    daemon.fault = fault
    submits = Submits(daemon.home)
    try:
        daemon.start().close()
        with BlockingClient(BlockingChannel(str(daemon.socket), False, restart_s=0.3)) as jk:
            jk.wait(submits.make(jk), timeout=PATIENCE)
            jk.stop_daemon()
    except (RuntimeError, jobkeep.DaemonUnreachable, jobkeep.OutcomeUnknown):
        assert daemon.struck(), daemon.log
    status = daemon.wait()
    struck = daemon.struck()
    assert status == (1 if struck else 0), daemon.log
    if struck:
        check_words(daemon.log)
        if served := '"event": "ready"' in daemon.log:
            check_silence(daemon.calls())
        check_state(daemon, submits, served)
    return struck


def check_words(log: str) -> None:
    """It says in one line what has happened, and what to do; a bug is what has a traceback."""
    assert "Traceback" not in log
    assert "exception" not in log
    refusal = [line for line in log.splitlines() if line.startswith("jobkeepd: cannot start: ")]
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    errors = [event for event in events if event["level"] == "error"]
    if refusal:
        assert (len(refusal), errors) == (1, [])
        assert "hint: " in log
    else:
        assert [event["event"] for event in errors] == ["store_failed"]
        assert "rror" in errors[0]["error"]
        assert "dmesg" in errors[0]["hint"]


def check_silence(calls: list[str]) -> None:
    """Nothing is written or synced any more after the error."""
    (at,) = (number for number, call in enumerate(calls) if "(INJECTED)" in call)
    assert calls[at + 1 :] == []


def check_state(daemon: TracedDaemon, submits: Submits, served: bool) -> None:
    """All that was acknowledged is there; asking again gives one job for each request, and each is done once."""
    before = set(submits.acknowledged.values())
    daemon.fault = None
    with daemon.start() as jk:
        assert before <= {job.id for job in jk.jobs()}
        ids = submits.make(jk)
        assert {job.state for job in jk.wait(ids, timeout=PATIENCE)} == {"succeeded"}
        assert jk.job(submits.acknowledged["batch"]).result() == {"even": 3, "odd": 3}
        assert sorted(job.id for job in jk.jobs()) == sorted(ids)
    assert submits.log.violations() == []
    assert submits.log.starts() == Counter(set(ids) - {submits.acknowledged["batch"]})
    assert sorted((daemon.home / "items").read_text().split()) == [str(item) for item in range(COUNT)]


@pytest.mark.parametrize(
    "fault",
    [Fault("fdatasync", 1), Fault("fsync", 1), Fault("fdatasync", 7), Fault("pwrite64", 60)],
    ids=str,
)
def test_an_error_of_the_disk_stops_the_daemon_and_loses_nothing(daemon: TracedDaemon, fault: Fault) -> None:
    """While the database is made, while its log is made long, in the midst of work."""
    assert strike(daemon, fault)


@pytest.mark.long
@pytest.mark.parametrize("call", ["fdatasync", "fsync", "pwrite64", "write"])
def test_an_error_of_any_call_stops_the_daemon_and_loses_nothing(call: str) -> None:
    """The first one, then the second, … until there are no more."""
    number, struck = 0, True
    while struck:
        number += 1
        with traced() as daemon:
            (daemon.home / "jobs.py").write_text(JOBS, encoding="utf-8")
            struck = strike(daemon, Fault(call, number))
    assert number > 1
