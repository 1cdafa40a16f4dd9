"""What becomes of a run on a cluster when a part dies, or stands still. The judge is a file of each start."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

import jobkeep
from dask_bridge.clusters import lines, running, starts, until
from dask_bridge.conftest import LOST_AFTER_S, Site


class Batch:
    """A job of 30 items that waits at item 12 until it is let go."""

    def __init__(self, site: Site, **options: object) -> None:
        self.site = site
        self.log, self._gate = site.log(), site.log()
        self.job = site.call("batch", log=self.log, count=30, gate=self._gate, stop_at=12, **options)
        until(lambda: len(lines(self.log)) == 12)
        until(lambda: self.job.info().progress.done >= 10)

    @property
    def pid(self) -> int:
        """Where the newest start runs."""
        return starts(self.log)[-1][1]

    @property
    def runs(self) -> list[int]:
        return [number for number, _ in starts(self.log)]

    def let_go(self) -> None:
        self._gate.touch()

    def items(self) -> list[int]:
        return [int(line.split()[0]) for line in lines(self.log)]

    def outcomes(self) -> list[str | None]:
        return [run.outcome for run in self.job.info().runs]


ALL = {"even": 15, "odd": 12, "failed": 3}


@pytest.mark.long
def test_a_run_whose_worker_is_killed_is_lost_and_nobody_starts_it_again(site: Site) -> None:
    """Dask itself would, silently: that start is refused."""
    batch = Batch(site)
    os.kill(batch.pid, signal.SIGKILL)
    with pytest.raises(jobkeep.JobFailed, match="lost: the Dask worker tcp://127.0.0.1:[0-9]+ died"):
        batch.job.result(timeout=60)
    assert batch.outcomes() == ["lost"]
    batch.let_go()
    assert site.call("add", a=1).result(timeout=60) == 2
    assert batch.runs == [1]


def test_a_run_whose_worker_is_killed_goes_on_elsewhere_where_policy_says_so(site: Site) -> None:
    """From its checkpoint, in a run of its own."""
    batch = Batch(site, on_lost="resume")
    batch.let_go()
    os.kill(batch.pid, signal.SIGKILL)
    assert batch.job.result(timeout=60) == ALL
    assert batch.outcomes() == ["lost", "succeeded"]
    assert batch.runs == [1, 2]
    assert sorted(set(batch.items())) == list(range(30))
    assert len(batch.items()) <= 30 + 5


@pytest.mark.long
def test_a_worker_that_stands_still_loses_its_run_and_cannot_go_on_with_it(site: Site) -> None:
    """Its lease is over: thawed, it may finish the item that was in work, which counts for nothing, and no other."""
    batch = Batch(site, on="dask:strict")
    pid = batch.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(jobkeep.JobFailed, match=f"no sign of life for {LOST_AFTER_S:g} s"):
            batch.job.result(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    batch.let_go()
    assert site.call("add", a=1).result(timeout=60) == 2
    assert batch.items()[12:] in ([], [12])
    assert batch.job.info().progress.done <= 12


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_the_run_of_a_bridge_that_is_killed_goes_on_and_the_next_bridge_has_it(
    site: Site, number: signal.Signals
) -> None:
    """Not even a function that is not to be resumed is started a second time."""
    batch = Batch(site, on_lost="fail")
    os.kill(site.bridge(batch.job), number)
    until(lambda: len(batch.job.info().runs) == 2)
    batch.let_go()
    assert batch.job.result(timeout=60) == ALL
    assert batch.outcomes() == ["interrupted", "succeeded"]
    assert batch.runs == [1]
    assert batch.items() == list(range(30))


@pytest.mark.long
def test_a_result_that_came_while_no_bridge_was_there_is_not_lost(site: Site) -> None:
    """The function ends between two bridges."""
    log, gate = site.log(), site.log()
    job = site.call("wait", log=log, gate=gate)
    until(lambda: len(starts(log)) == 1)
    bridge = site.bridge(job)
    os.kill(bridge, signal.SIGSTOP)
    gate.touch()
    until(lambda: lines(log) == ["ended"])
    os.kill(bridge, signal.SIGKILL)
    assert job.result(timeout=60) == "done"
    assert len(starts(log)) == 1
    assert [run.outcome for run in job.info().runs] == ["interrupted", "succeeded"]


@pytest.mark.long
def test_a_bridge_that_dies_again_and_again_gives_up_and_says_why(site: Site) -> None:
    """A run whose function advances not at all is poison after three of them."""
    log = site.log()
    job = site.call("tick", on="dask:strict", log=log)
    until(lambda: bool(lines(log)))

    def is_given_up() -> bool:
        """A bridge that dies before its run has begun does not count, so that three need not be enough."""
        info = job.info()
        if info.runs[-1].started_at is not None and info.runs[-1].outcome is None:
            for pid in site.bridges(job):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return info.state == "failed"

    until(is_given_up)
    with pytest.raises(jobkeep.JobFailed, match="poison: the bridge to dask:strict ended: worker ended by signal 9"):
        job.result(timeout=60)
    pid = int(lines(log)[0])
    until(lambda: not Path(f"/proc/{pid}").exists())  # nobody renews its lease


@pytest.mark.long
def test_a_daemon_that_is_killed_misses_nothing(site: Site) -> None:
    """The bridge goes on without it, and the next daemon takes it over."""
    batch = Batch(site)
    site.daemon.kill()
    batch.let_go()
    until(lambda: len(batch.items()) == 30)
    site.jk.close()
    site.jk = site.daemon.start()
    job = site.jk.job(batch.job.id)
    assert job.result(timeout=60) == ALL
    assert batch.runs == [1]


@pytest.mark.long
def test_a_scheduler_that_is_away_leaves_its_runs_open_until_it_is_certain_that_they_ended(site: Site) -> None:
    """Never cancelled; and a scheduler that is started anew knows nothing of them."""
    port = int(site.lab.address.rpartition(":")[2])
    batch = Batch(site, on="dask:strict")
    site.lab.kill("scheduler")
    until(lambda: "is away" in (batch.job.info().progress.note or ""))
    assert batch.job.info().state == "running"
    site.lab.start_scheduler(port)
    site.lab.restart_workers()
    with pytest.raises(jobkeep.JobFailed, match="lost: the scheduler of dask:strict at .* knows nothing of the task"):
        batch.job.result(timeout=60)
    batch.let_go()
    assert site.call("add", a=1).result(timeout=60) == 2
    assert len(batch.items()) == 12


@pytest.mark.long
def test_two_clusters_at_once_have_nothing_to_do_with_each_other(site: Site) -> None:
    """Each runs what was sent to it, and the end of one is nothing to the other."""
    with running(site.lab.home, "annex", workers=1) as annex:
        here, there = Batch(site), Batch(site, on="dask:annex")
        assert site.lab.address != annex.address
        assert here.pid != there.pid
        annex.kill("worker")
        with pytest.raises(jobkeep.JobFailed, match="lost: the Dask worker"):
            there.job.result(timeout=60)
        here.let_go()
        assert here.job.result(timeout=60) == ALL
    assert there.items() == list(range(12))
