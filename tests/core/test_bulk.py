"""One verb for many jobs: who is meant, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec, Progress
from jobkeepd.core import lifecycle
from jobkeepd.core.bulk import (
    Accepted,
    Cancel,
    Refusals,
    Refused,
    Remove,
    Restart,
    Resume,
    Verb,
    become,
    refusals,
    states,
    verdict,
)
from jobkeepd.core.model import Job, Run

JOB = Job(
    seq=1, id="a", spec=JobSpec(command=["true"]), environment=None, owner=1, state="queued", created_at=1.0,
    progress=Progress(failed_items=1),
)  # fmt: skip
VERBS = [Cancel(), Cancel(True), Resume(), Resume(True), Restart(), Restart(True), Remove()]


@pytest.mark.parametrize("verb", VERBS, ids=str)
def test_who_is_meant_without_a_state_may_be_acted_on(verb: Verb) -> None:
    """In all of these states the verb is allowed; what is being cancelled is only hurried, and not asked again."""
    allowed = {state for state in lifecycle.STATES if verdict(verb, replace(JOB, state=state), None).allowed}
    assert set(states(verb)) == allowed - ({"cancelling"} if verb == Cancel() else set())


@pytest.mark.parametrize("state", lifecycle.STATES)
def test_verdicts_are_those_for_one_job(state: Any) -> None:
    """With the same reasons."""
    job = replace(JOB, state=state)
    assert verdict(Cancel(), job, None) == lifecycle.may_cancel(state)
    assert verdict(Resume(), job, None) == lifecycle.may_resume(state)
    assert verdict(Resume(failed_items=True), job, None) == lifecycle.may_resume_failed_items(state, 1)
    assert verdict(Restart(), job, None) == lifecycle.may_restart(state)
    assert verdict(Remove(), job, None) == lifecycle.may_remove(state)


def test_what_has_begun_or_ended_since_is_left_alone() -> None:
    """So a page may be asked for twice: what was resumed or restarted by the first is not by the second."""
    run = Run(number=2, fence=2, state="running", seat="s", epoch=1, cookie="c", claimed_at=9.0, started_at=10.0)
    running = replace(JOB, state="running", run=run)
    failed = replace(JOB, state="failed", ended_at=10.0)
    assert verdict(Restart(), running, 10.0).allowed
    assert verdict(Restart(), running, 9.9).reason == "its run has begun since"
    assert verdict(Resume(), failed, 10.0).allowed
    assert verdict(Resume(), failed, 9.9).reason == "the job has been resumed since, and has ended again"
    assert verdict(Cancel(), running, 0.0).allowed
    assert verdict(Remove(), failed, 0.0).allowed


def test_answers_are_counted() -> None:
    """States of those that were accepted; reasons with how many they are, the most frequent first, and a job."""
    refused = [Refused("b", "x"), Refused("c", "y"), Refused("d", "y")]
    answers = [Accepted("a", "cancelled"), *refused, Accepted("e", "cancelled")]
    assert become(answers) == {"cancelled": 2}
    assert refusals(answers) == [Refusals("y", 2, "c"), Refusals("x", 1, "b")]
