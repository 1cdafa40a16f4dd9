"""What becomes of a job when its run has ended."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from jobkeep.protocol.jobs import ErrorInfo, JobSpec
from jobkeep.protocol.vocabulary import ENDED_STATES, RESULT_LIMIT
from jobkeepd.core.ending import (
    Exited,
    Finished,
    Gone,
    NeverSent,
    NotStarted,
    Policy,
    Rebooted,
    RunEnd,
    WorkerDied,
    decide,
    describe_status,
)
from jobkeepd.core.model import Exit, Job, Run
from jobkeepd.core.retry import CEILING, retry_delay

POLICY = Policy("fail", 0.0)
RESUMING = Policy("resume", 0.0)
RUN = Run(number=1, fence=1, state="running", seat="s", epoch=1, cookie="c", claimed_at=0.0)
assert RESULT_LIMIT


def job(**changes: Any) -> Job:
    """A running command."""
    spec = JobSpec(command=["true"])
    base = Job(seq=1, id="a", spec=spec, environment=None, owner=0, state="running", created_at=0.0, run=RUN)
    return replace(base, **changes)


def exited(status: int, *, terminated: bool = False) -> Exited:
    """A leader that ended at second 10."""
    return Exited(Exit(status, 10.0), terminated)


ENDS: list[RunEnd] = [
    exited(0), exited(0, terminated=True), exited(9), exited(3 << 8), Finished("succeeded", 10.0, Raw(b"1")),
    Finished("failed", 10.0), Finished("cancelled", 10.0), Finished("interrupted", 10.0),
    WorkerDied(Exit(9, 10.0)), NotStarted("no", 10.0), NeverSent(10.0), Gone(10.0), Rebooted(10.0),
]  # fmt: skip


def test_exit_code_zero_is_success_and_anything_else_is_failure() -> None:
    """The raw wait status is kept."""
    assert decide(job(), exited(0), None, POLICY).state == "succeeded"
    failed = decide(job(), exited(3 << 8), None, POLICY)
    assert (failed.outcome, failed.state, failed.status, failed.reason) == ("failed", "failed", 768, "exit code 3")


def test_a_retry_is_scheduled_after_its_backoff_and_charged() -> None:
    """The first failure of a job with retries waits for its backoff."""
    retried = decide(job(spec=JobSpec(command=["false"], retries=2, backoff_s=4.0)), exited(256), None, POLICY)
    assert (retried.state, retried.charge, retried.due_at) == ("scheduled", True, 14.0)


def test_the_last_retry_fails_for_good() -> None:
    """No budget left."""
    spent = job(spec=JobSpec(command=["false"], retries=2), attempts=2)
    assert decide(spent, exited(256), None, POLICY).state == "failed"


def test_a_command_that_never_started_is_not_retried() -> None:
    """A command that is not found will not be found later."""
    never = decide(job(spec=JobSpec(command=["x"], retries=5)), NotStarted("command not found: x", 1.0), None, POLICY)
    assert (never.state, never.reason) == ("failed", "command not found: x")


def test_lost_is_never_an_invented_exit_code() -> None:
    """The outcome is lost, by default the job fails."""
    lost = decide(job(), Gone(10.0), None, POLICY)
    assert (lost.outcome, lost.state, lost.status) == ("lost", "failed", None)


def test_lost_resumes_where_declared_until_it_is_poison() -> None:
    """Three policy resumes in a row end the job."""
    assert decide(job(), Gone(10.0), None, RESUMING).state == "queued"
    assert decide(job(attempts=2), Gone(10.0), None, RESUMING).state == "failed"


def test_late_success_of_a_cancelled_job_stays_success() -> None:
    """A worker that had finished before it heard of the cancellation has succeeded."""
    cancelling = job(state="cancelling", stop="cancelled")
    assert decide(cancelling, Finished("succeeded", 1.0), None, POLICY).state == "succeeded"


def test_a_terminated_command_that_exits_cleanly_is_cancelled() -> None:
    """Exit code 0 after our SIGTERM is obedience, not success."""
    cancelling = job(state="cancelling", stop="cancelled")
    assert decide(cancelling, exited(0, terminated=True), None, POLICY).state == "cancelled"


def test_restart_queues_the_job_again_without_charge() -> None:
    """From the start if so wished."""
    stopped = decide(job(stop="restart_from_start"), exited(15, terminated=True), None, POLICY)
    assert (stopped.outcome, stopped.state) == ("interrupted", "queued")
    assert (stopped.charge, stopped.from_start) == (False, True)


def test_a_timeout_is_a_failure_that_says_so() -> None:
    """The signal we sent is not the reason."""
    timed = decide(job(), exited(15, terminated=True), 7.0, POLICY)
    assert (timed.outcome, timed.reason) == ("failed", "timed out after 7 s")


def test_after_a_reboot_functions_with_a_checkpoint_go_on() -> None:
    """Others follow on_lost."""
    function = job(spec=JobSpec(function="m:f"), checkpoint_seq=3)
    assert decide(function, Rebooted(1.0), None, POLICY).state == "queued"
    assert decide(job(), Rebooted(1.0), None, POLICY).state == "failed"


@pytest.mark.parametrize("stop", [None, "cancelled", "restart", "restart_from_start"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_every_end_is_decided_in_every_state(end: RunEnd, stop: str | None) -> None:
    """Total: no end of a run is left without an answer, and no cancelled job runs on."""
    for state in ("running", "cancelling"):
        cancelled = state == "cancelling"
        decision = decide(job(state=state, stop="cancelled" if cancelled else stop), end, None, RESUMING)
        if cancelled:
            assert decision.state in ENDED_STATES
        assert (decision.due_at is not None) == (decision.state == "scheduled")


@pytest.mark.parametrize("end", [NotStarted("no", 1.0), NeverSent(1.0), Gone(1.0), Rebooted(1.0)])
def test_a_job_whose_start_was_never_confirmed_is_decided_too(end: RunEnd) -> None:
    """It is still queued then."""
    assert decide(job(state="queued"), end, None, POLICY).state in ("queued", "failed")


@given(st.floats(0.1, 1000), st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_backoff_never_exceeds_its_ceiling_and_never_shrinks_below_three_quarters(
    base: float, attempts: int, jitter: float
) -> None:
    """Exponential, capped, with bounded jitter."""
    full = min(base * 2 ** (attempts - 1), CEILING)
    assert 0.75 * full <= retry_delay(base, attempts, jitter) <= full


def test_statuses_are_told_in_words() -> None:
    """Exit codes and signals, named."""
    assert describe_status(9) == "ended by signal 9 (SIGKILL)"
    assert describe_status(15, "worker ").startswith("worker ended by signal 15")
    assert describe_status(512) == "exit code 2"


def test_a_failed_function_has_its_error_in_one_line_as_the_reason() -> None:
    """The run's record says why, also when the job has gone on since."""
    error = ErrorInfo("ValueError", "no such row\nin the table " + "x" * 1000)
    assert decide(job(), Finished("failed", 1.0, error=error), None, POLICY).reason == "ValueError: no such row"
    long = decide(job(), Finished("failed", 1.0, error=ErrorInfo("E", "y" * 1000)), None, POLICY).reason
    assert long is not None
    assert len(long) == 300
