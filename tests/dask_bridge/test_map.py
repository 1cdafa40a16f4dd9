"""A map whose items any worker of the cluster takes."""

from __future__ import annotations

import os
import signal

import pytest

from dask_bridge.clusters import lines, starts, until
from dask_bridge.conftest import Site

COUNT = 60
ALL = {"even": 30, "odd": 24, "failed": 6}


def test_a_map_spreads_its_items_over_the_workers_of_the_cluster(site: Site) -> None:
    """The books are those of a batch, and the worker that runs the job takes items, too."""
    log, gate = site.log(), site.log()
    job = site.call("spread", log=log, count=COUNT, gate=gate, stop_at=0)
    until(lambda: bool(lines(log)))  # by another worker than the one that waits: the second one may just be starting
    gate.touch()
    assert job.result(timeout=60) == ALL
    info = job.info()
    assert (info.progress.done, info.progress.total, info.progress.failed_items) == (COUNT, COUNT, 6)
    assert sorted(int(item.key) for item in job.failed_items()) == list(range(3, COUNT, 10))
    assert sorted(int(line.split()[0]) for line in lines(log)) == list(range(COUNT))
    ((_, host),) = starts(log)
    assert {str(host)} < {line.split()[1] for line in lines(log)}


@pytest.mark.long
def test_only_failed_items_of_a_map_run_again_where_that_is_asked_for(site: Site) -> None:
    """Their keys reach the cluster."""
    log = site.log()
    job = site.call("spread", log=log, count=COUNT)
    job.result(timeout=60)
    job.resume(failed_items=True)
    job.result(timeout=60)
    assert sorted(int(line.split()[0]) for line in lines(log)[COUNT:]) == list(range(3, COUNT, 10))


@pytest.mark.long
def test_a_map_goes_on_where_it_was_when_the_worker_of_its_job_dies(site: Site) -> None:
    """No item is left out, and no more are repeated than were not durable; an item in work elsewhere is waited for."""
    log, gate = site.log(), site.log()
    job = site.call("spread", log=log, count=COUNT, gate=gate, stop_at=40, every=8, on_lost="resume")
    until(lambda: len(lines(log)) >= 40)
    os.kill(starts(log)[-1][1], signal.SIGKILL)
    # Not its second start: to Dask a worker is free whose task nobody wants any more, and may be where that waits.
    until(lambda: job.info().attempt == 2)
    gate.touch()
    assert job.result(timeout=60) == ALL
    assert len(starts(log)) == 2
    items = [int(line.split()[0]) for line in lines(log)]
    assert set(items) == set(range(COUNT))
    assert len(items) <= COUNT + 8


@pytest.mark.long
def test_an_item_whose_worker_dies_is_done_elsewhere(site: Site) -> None:
    """Dask starts it again; the job does not notice."""
    log, gate = site.log(), site.log()
    job = site.call("spread", log=log, count=COUNT, gate=gate, stop_at=COUNT - 1)
    until(lambda: bool(starts(log)))
    ((_, host),) = starts(log)
    until(lambda: {line.split()[1] for line in lines(log)} > {str(host)})
    (other,) = {int(line.split()[1]) for line in lines(log)} - {host}
    os.kill(other, signal.SIGKILL)
    gate.touch()
    assert job.result(timeout=60) == ALL
    assert [run.outcome for run in job.info().runs] == ["succeeded"]
    assert {int(line.split()[0]) for line in lines(log)} == set(range(COUNT))
