"""What jobs weigh."""

from __future__ import annotations

from contract.deeds import new
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Job
from jobkeepd.core.weight import up_to, weight


def _job(size: int) -> Job:
    spec = JobSpec(command=["x" * size])
    return Job(seq=1, id=str(size), spec=spec, environment=None, owner=1, state="queued", created_at=1.0)


def test_a_job_weighs_what_its_command_and_its_arguments_do() -> None:
    """Nothing else of it can be large."""
    assert weight(new("a", command=["echo", "x" * 1000]).spec) == 1004
    assert weight(new("a", command=None, function="m:f", arguments={"a": "x" * 1000}).spec) == 1008
    assert weight(new("a", command=None, function="m:f", arguments={}).spec) == 0


def test_the_last_job_of_some_is_that_with_which_they_weigh_enough() -> None:
    """One at least, and no further one is asked for."""
    jobs = iter([_job(3), _job(4), _job(5), _job(6)])
    assert [job.id for job in up_to(7, jobs)] == ["3", "4"]
    assert [job.id for job in up_to(1, jobs)] == ["5"]
    assert [job.id for job in up_to(100, jobs)] == ["6"]
    assert up_to(1, jobs) == []
