"""A run on a cluster is like one here: what it reports, how it ends, how it is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

import jobkeep
from dask_bridge.clusters import lines, starts, until
from dask_bridge.conftest import Site


def test_a_batch_reports_as_it_does_on_this_host(site: Site) -> None:
    """Result, tallies, failed items with their errors, progress; it has run in a process of the cluster."""
    log = site.log()
    job = site.call("batch", log=log, count=25)
    assert job.result(timeout=60) == {"even": 13, "odd": 9, "failed": 3}
    info = job.info()
    assert (info.progress.done, info.progress.total, info.progress.failed_items) == (25, 25, 3)
    assert [item.key for item in job.failed_items()] == ["3", "13", "23"]
    ((number, pid),) = starts(log)
    assert number == 1
    assert {line.split()[1] for line in lines(log)} == {str(pid)}


@pytest.mark.long
def test_only_failed_items_run_again_where_that_is_asked_for(site: Site) -> None:
    """Their keys reach the cluster."""
    log = site.log()
    job = site.call("batch", log=log, count=25)
    job.result(timeout=60)
    job.resume(failed_items=True)
    job.result(timeout=60)
    assert [int(line.split()[0]) for line in lines(log)[25:]] == [3, 13, 23]


@pytest.mark.long
def test_steps_and_state_of_an_earlier_run_are_there(site: Site) -> None:
    """A step that has a result is not taken again on the cluster, and a checkpoint's state is restored."""
    log = site.log()
    job = site.call("stepwise", log=log, retries=1, backoff=0)
    assert job.result(timeout=60) == ["first", "second", {"first": "first"}]
    assert lines(log) == ["first", "second"]


def test_what_a_function_prints_comes_home(site: Site) -> None:
    """To both streams, with what is not ASCII."""
    job = site.call("shout", text="grüß Gott")
    job.result(timeout=60)
    assert (list(job.logs(stream="stdout")), list(job.logs(stream="stderr"))) == (["grüß Gott"], ["grüß Gott"])


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        pytest.param("big", {}, "over the limit of 262144", marks=pytest.mark.long),
        pytest.param("add", {"c": 1}, "takes no argument 'c'", marks=pytest.mark.long),
        ("nothing", {}, "has no 'nothing' (on the Dask worker tcp://127.0.0.1:"),
    ],
)
def test_what_cannot_be_done_there_is_the_error_of_the_job(
    site: Site, name: str, arguments: dict[str, object], said: str
) -> None:
    """A result that is too large, arguments that do not fit, a function that the cluster cannot import."""
    with pytest.raises(jobkeep.JobFailed) as failed:
        site.call(name, **arguments).result(timeout=60)
    assert said in str(failed.value)


@pytest.mark.long
def test_a_scheduler_that_does_not_answer_fails_the_run_by_name(site: Site) -> None:
    """And it is tried again as the job's policy says."""
    job = site.call("add", on="dask:nowhere", a=1, retries=1, backoff=0)
    with pytest.raises(jobkeep.JobFailed, match="no scheduler answers for dask:nowhere at tcp://127.0.0.1:9"):
        job.result(timeout=60)
    assert [run.outcome for run in job.info().runs] == ["failed", "failed"]


def test_a_cluster_that_is_not_configured_is_told_with_those_that_are(site: Site) -> None:
    """A mistake of the user, and no run begins."""
    known = r"\[dask.annex\], \[dask.lab\], \[dask.nowhere\], \[dask.strict\]"
    with pytest.raises(jobkeep.JobFailed, match=rf"has no \[dask.moon\]; there is {known}"):
        site.call("add", on="dask:moon", a=1).result(timeout=60)


def test_a_command_does_not_go_to_a_cluster(site: Site) -> None:
    """It is refused when it is submitted."""
    with pytest.raises(jobkeep.InvalidRequest, match="on names where a function runs"):
        site.jk.run(["true"], on="dask:lab")


def test_a_function_that_listens_is_cancelled(site: Site) -> None:
    """With what it had finished on record; and nothing of it goes on."""
    log, gate = site.log(), site.log()
    job = site.call("batch", log=log, count=100, gate=gate, stop_at=12)
    until(lambda: len(lines(log)) == 12)
    job.cancel()
    with pytest.raises(jobkeep.JobFailed):
        job.result(timeout=30)
    assert (job.info().state, job.info().progress.done) == ("cancelled", 12)
    gate.touch()
    site.call("add", a=1).result(timeout=60)
    assert len(lines(log)) == 12


@pytest.mark.long
def test_a_function_that_does_not_listen_is_ended_with_its_process(site: Site) -> None:
    """By force, and the worker of the cluster is there again afterwards."""
    log = site.log()
    job = site.call("tick", log=log, grace=0.5)
    until(lambda: bool(lines(log)))
    pid = int(lines(log)[0])
    job.cancel()
    with pytest.raises(jobkeep.JobFailed):
        job.result(timeout=30)
    assert job.info().state == "cancelled"
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert site.call("add", a=1).result(timeout=60) == 2
