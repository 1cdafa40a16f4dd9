"""Which open runs recovery touches, and in which manner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.ending import Policy, Recovered, decide
from jobkeepd.core.model import Job, Run
from jobkeepd.core.stuck import Followed, Unfollowed, judge_stuck
from jobkeepd.core.wording import in_words

FAIL, RESUME = Policy("fail", 0.0), Policy("resume", 0.0)
LONG = 1800.0


def job(**facts: Any) -> Job:
    spec = facts.pop("spec", JobSpec(function="m:f"))
    run = Run(
        number=1, fence=1, state="running", seat="s", epoch=1, cookie="c", claimed_at=1.0, started_at=1.0,
        futile=facts.pop("futile", 0),
    )  # fmt: skip
    return Job(
        seq=1, id="j1", spec=spec, environment=None, owner=0, state=facts.pop("state", "running"), created_at=0.0,
        run=run, **facts,
    )  # fmt: skip


def seen(silent_for: float | None = 1.0, **facts: Any) -> Followed:
    return Followed(**{"started": True, "stopping": False, "silent_for": silent_for, **facts})


def test_age_counts_from_the_last_sign_of_life() -> None:
    """A run of two days that beats is left alone; one that is silent for long enough is not."""
    assert judge_stuck(job(), seen(1.0), LONG, None, FAIL).action == "leave"
    assert judge_stuck(job(), seen(LONG - 0.1), LONG, None, FAIL).action == "leave"
    found = judge_stuck(job(), seen(2700.0), LONG, None, FAIL)
    assert (found.verdict, found.action, found.reason) == ("silent", "fail", "no sign of life for 45 min")


def test_nobody_is_dead_who_is_not_even_late() -> None:
    """Whatever is asked for: between two heartbeats everybody is silent."""
    assert judge_stuck(job(), seen(4.0, late_after=30.0), 1.0, "resume", FAIL).verdict == "alive"
    late = judge_stuck(job(), seen(29.0, late_after=30.0, health="late"), 1.0, None, FAIL)
    assert (late.action, late.reason) == ("leave", "its last sign of life is younger than 30 s")
    assert judge_stuck(job(), seen(30.0, late_after=30.0, health="late"), 1.0, None, FAIL).action == "fail"


def test_a_command_is_never_over_age() -> None:
    """Its life is its process."""
    found = judge_stuck(job(spec=JobSpec(command=["true"])), seen(None), 0.0, None, FAIL)
    assert (found.verdict, found.action) == ("alive", "leave")


@pytest.mark.parametrize(
    ("on_lost", "then", "policy", "action"),
    [
        (None, None, FAIL, "fail"),
        (None, None, RESUME, "resume"),
        ("resume", None, FAIL, "resume"),
        ("resume", "fail", RESUME, "fail"),
        ("fail", "resume", FAIL, "resume"),
    ],
)
def test_what_is_asked_for_beats_the_jobs_policy_and_that_beats_the_default(
    on_lost: Any, then: Any, policy: Policy, action: str
) -> None:
    """In this order."""
    spec = JobSpec(function="m:f", on_lost=on_lost)
    assert judge_stuck(job(spec=spec), seen(2700.0), LONG, then, policy).action == action


def test_a_job_that_was_resumed_in_vain_too_often_is_failed() -> None:
    """Three policy resumes without progress: poison."""
    assert judge_stuck(job(futile=2), seen(2700.0), LONG, "resume", FAIL).action == "fail"


def test_what_is_being_stopped_or_started_is_left_to_that() -> None:
    """Both are bounded by themselves."""
    assert judge_stuck(job(), seen(9e9, stopping=True), LONG, None, FAIL).verdict == "stopping"
    assert judge_stuck(job(), seen(None, started=False), LONG, None, FAIL).verdict == "starting"


def test_a_run_that_nobody_follows_is_adopted_and_never_marked_without_proof() -> None:
    """It may live."""
    assert judge_stuck(job(), Unfollowed(True), LONG, None, FAIL).action == "adopt"
    assert judge_stuck(job(), Unfollowed(False), LONG, None, FAIL).action == "leave"
    awaited = judge_stuck(job(), Unfollowed(False, awaited=True), LONG, None, FAIL)
    assert (awaited.action, "has not answered" in awaited.reason) == ("leave", True)


@given(
    silent=st.floats(0, 1e5),
    attempts=st.integers(0, 5),
    futile=st.integers(0, 4),
    retries=st.integers(0, 3),
    stop=st.sampled_from([None, "cancelled", "restart"]),
    then=st.sampled_from([None, "fail", "resume"]),
    on_lost=st.sampled_from([None, "fail", "resume"]),
)
def test_a_check_predicts_what_the_end_of_the_run_will_lead_to(
    silent: float, attempts: int, futile: int, retries: int, stop: Any, then: Any, on_lost: Any
) -> None:
    """The action is computed by the very decision that is made in earnest."""
    spec = JobSpec(function="m:f", on_lost=on_lost, retries=retries)
    one = job(spec=spec, attempts=attempts, futile=futile, stop=stop)
    found = judge_stuck(one, seen(silent), LONG, then, FAIL)
    if found.ends_run:
        state = decide(one, Recovered(5.0, found.reason, then), None, FAIL).state
        assert found.action == ("resume" if state == "queued" else "fail")
    else:
        assert silent < LONG


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (2700, "45 min"),
        (3600, "1 h"),
        (11100, "3 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_ages_are_said_in_words(seconds: float, said: str) -> None:
    """As people would."""
    assert in_words(seconds) == said
