"""What jobs weigh."""

from __future__ import annotations

from typing import Any

import pytest

from contract.deeds import new
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Job
from jobkeepd.core.weight import up_to, weight


def _job(size: int) -> Job:
    spec = JobSpec(command=["x" * size])
    return Job(seq=1, id=str(size), spec=spec, environment=None, owner=1, state="queued", created_at=1.0)


@pytest.mark.parametrize(
    "large",
    [
        {"command": ["echo", "x" * 10_000]},
        {"command": None, "function": "m:f", "arguments": {"a": "x" * 10_000}},
        {"env": {"A": "x" * 10_000}},
        {"secrets": ["x" * 200 for _ in range(50)]},
        {"after": ["x" * 20 for _ in range(500)]},
    ],
)
def test_a_job_weighs_what_is_large_of_it(large: dict[str, Any]) -> None:
    """Whatever that is."""
    assert 10_000 < weight(new("a", **large).spec) < 13_000


def test_the_last_job_of_some_is_that_with_which_they_weigh_enough() -> None:
    """One at least, and no further one is asked for."""
    jobs = iter([_job(3000), _job(4000), _job(5000), _job(6000)])
    assert [job.id for job in up_to(7000, jobs)] == ["3000", "4000"]
    assert [job.id for job in up_to(1, jobs)] == ["5000"]
    assert [job.id for job in up_to(100_000, jobs)] == ["6000"]
    assert up_to(1, jobs) == []
