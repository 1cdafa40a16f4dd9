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
    Recovered,
    RunEnd,
    WorkerDied,
    decide,
    describe_status,
    overran,
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
    Finished("lost", 10.0, reason="lost: its worker died"),
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


@pytest.mark.parametrize("end", [Gone(10.0), Recovered(10.0, "silent"), Rebooted(10.0)])
def test_who_is_run_again_for_nothing_is_poison_the_third_time(end: RunEnd) -> None:
    """However its run is lost. What was charged for something else does not count."""
    for futile, state, counted in ((0, "queued", 1), (1, "queued", 2), (2, "failed", 0)):
        decision = decide(job(run=replace(RUN, futile=futile), attempts=7), end, None, RESUMING)
        assert (decision.state, decision.futile) == (state, counted)
    assert (decision.reason or "").startswith("poison: ")


@pytest.mark.parametrize("moved", [{"checkpoint_seq": 9}, {"run": replace(RUN, futile=2, saved_before=8, steps=2)}])
def test_who_gets_on_each_time_is_run_again_as_often_as_it_takes(moved: dict[str, Any]) -> None:
    """A checkpoint or the result of a step that the run has stored is progress."""
    base = {"run": replace(RUN, futile=2, saved_before=8), "checkpoint_seq": 7}
    decision = decide(job(**{**base, **moved}), Gone(10.0), None, RESUMING)
    assert (decision.state, decision.futile) == ("queued", 0)
    assert decide(job(**{**base, "checkpoint_seq": 8}), Gone(10.0), None, RESUMING).state == "failed"


def test_retries_that_are_left_are_had_before_a_job_is_poison() -> None:
    """Whoever asks for ten attempts gets them."""
    patient = job(run=replace(RUN, futile=2), attempts=2, spec=JobSpec(command=["true"], retries=9))
    assert decide(patient, Gone(10.0), None, RESUMING).state == "queued"


def test_a_start_that_never_arrived_is_neither_progress_nor_its_want() -> None:
    """Nothing has run."""
    assert decide(job(run=replace(RUN, futile=2)), NeverSent(10.0), None, RESUMING).futile == 2


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


@pytest.mark.parametrize(
    ("end", "changes", "limit"),
    [
        (exited(9), {}, 3.0),
        (exited(15), {}, 3.0),
        (WorkerDied(Exit(9, 10.0)), {}, 3.0),
        (exited(9), {"timeout_s": 8.5}, None),  # it was killed in time
        (exited(9), {"timeout_s": None}, None),
        (exited(9), {"stop": "cancelled"}, None),
        (exited(3 << 8), {}, None),  # that it ended by itself, however late, is true
        (Gone(10.0), {}, None),
    ],
)
def test_a_daemon_that_comes_later_can_tell_that_a_run_was_stopped_for_its_time(
    end: RunEnd, changes: dict[str, Any], limit: float | None
) -> None:
    """It lasted for longer than it might, and a signal ended it."""
    stop, timeout = changes.get("stop"), changes.get("timeout_s", 3.0)
    spec = JobSpec(command=["true"], timeout_s=timeout)
    late = job(spec=spec, stop=stop, run=replace(RUN, started_at=2.0))
    assert overran(late, end) == limit


def test_a_timeout_is_a_failure_that_says_so() -> None:
    """The signal we sent is not the reason."""
    timed = decide(job(), exited(15, terminated=True), 7.0, POLICY)
    assert (timed.outcome, timed.reason) == ("failed", "timed out after 7 s")


def test_after_a_reboot_functions_with_a_checkpoint_go_on() -> None:
    """Stored results of steps are one as well. Others follow on_lost."""
    for kept in ({"checkpoint_seq": 3}, {"run": replace(RUN, steps=1)}):
        function = job(spec=JobSpec(function="m:f"), **kept)
        assert decide(function, Rebooted(1.0), None, POLICY).state == "queued"
    assert decide(job(spec=JobSpec(function="m:f")), Rebooted(1.0), None, POLICY).state == "failed"
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


@pytest.mark.parametrize("state", ["queued", "cancelling"])
@pytest.mark.parametrize("timed_out", [None, 5.0])
def test_a_cancelled_job_whose_start_never_arrived_is_cancelled(state: str, timed_out: float | None) -> None:
    """Its job is queued still, if the cancellation came before the start was known: it does not go back there."""
    decision = decide(job(state=state, stop="cancelled"), NeverSent(10.0), timed_out, POLICY)
    assert (decision.outcome, decision.state, decision.charge) == ("cancelled", "cancelled", False)


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


def test_a_failure_that_the_job_calls_permanent_is_not_retried() -> None:
    """Whatever retries are left; the same failure without the word is."""
    error = ErrorInfo("Permanent", "the account is closed")
    failed = Finished("failed", 1.0, error=error)
    retrying = job(spec=JobSpec(function="m:f", retries=3))
    assert decide(retrying, failed, None, POLICY).state == "scheduled"
    decision = decide(retrying, replace(failed, permanent=True), None, POLICY)
    assert (decision.state, decision.charge, decision.error) == ("failed", False, error)
    assert decision.reason == "Permanent: the account is closed"


def test_statuses_are_told_in_words() -> None:
    """Exit codes and signals, named."""
    assert describe_status(9) == "ended by signal 9 (SIGKILL)"
    assert describe_status(15, "worker ").startswith("worker ended by signal 15")
    assert describe_status(512) == "exit code 2"


def test_a_run_that_the_kernel_ends_at_its_limit_is_named_so() -> None:
    """With the limit, for people and, by the type of its error, for programs; a part of a run as well as all of it."""
    spec = JobSpec(command=["x"], memory_bytes=512 << 20)
    whole = decide(job(spec=spec), Exited(Exit(9, 10.0, oom=2)), None, POLICY)
    part = decide(job(spec=spec), Exited(Exit(3 << 8, 10.0, oom=1)), None, POLICY)
    worker = decide(job(spec=JobSpec(function="m:f")), WorkerDied(Exit(9, 10.0, oom=1)), None, POLICY)
    assert [each.error and each.error.type for each in (whole, part, worker)] == ["OutOfMemory"] * 3
    assert [each.reason for each in (whole, part, worker)] == [
        "the kernel ended the run, which wanted more memory than its limit of 512 MiB (ended by signal 9 (SIGKILL))",
        "the kernel ended 1 process of it, which wanted more memory than its limit of 512 MiB (exit code 3)",
        "the kernel ended the run, which wanted more memory than its limit (worker ended by signal 9 (SIGKILL))",
    ]


def test_a_kill_that_is_not_ours_is_said_to_be_none_of_ours() -> None:
    """Of commands and of workers; one of ours, and other signals, are told without it."""
    reasons = [
        decide(job(), end, None, POLICY).reason
        for end in (exited(9), WorkerDied(Exit(9, 1.0)), exited(9, terminated=True), exited(15))
    ]
    assert reasons == [
        "ended by signal 9 (SIGKILL), which jobkeep did not send",
        "worker ended by signal 9 (SIGKILL), which jobkeep did not send",
        "ended by signal 9 (SIGKILL)", "ended by signal 15 (SIGTERM)",
    ]  # fmt: skip


def test_a_failed_function_has_its_error_in_one_line_as_the_reason() -> None:
    """The run's record says why, also when the job has gone on since."""
    error = ErrorInfo("ValueError", "no such row\nin the table " + "x" * 1000)
    assert decide(job(), Finished("failed", 1.0, error=error), None, POLICY).reason == "ValueError: no such row"
    long = decide(job(), Finished("failed", 1.0, error=ErrorInfo("E", "y" * 1000)), None, POLICY).reason
    assert long is not None
    assert len(long) == 300


FENCED = replace(RUN, fence=2, fenced="no heartbeat for 1 min: its process is stopped")


@pytest.mark.parametrize("end", [Finished("succeeded", 10.0, Raw(b"1")), WorkerDied(Exit(3 << 8, 10.0)), Gone(10.0)])
def test_a_fenced_run_is_lost_whatever_it_says(end: RunEnd) -> None:
    """Its result does not count; on_lost decides, and only who has asked for its end is heard before."""
    lost = decide(job(run=FENCED), end, None, POLICY)
    assert (lost.outcome, lost.state, lost.result) == ("lost", "failed", None)
    assert lost.reason == "lost: no heartbeat for 1 min: its process is stopped"
    again = decide(job(run=FENCED), end, None, RESUMING)
    assert (again.state, again.charge) == ("queued", True)
    assert decide(job(run=FENCED, state="cancelling", stop="cancelled"), end, None, RESUMING).state == "cancelled"
    assert decide(job(run=FENCED), WorkerDied(Exit(9, 10.0)), 60.0, POLICY).reason == "timed out after 60 s"


def test_a_run_that_was_restarted_for_a_stall_uses_up_an_attempt() -> None:
    """So that a job which stalls each time is not restarted for ever; one that a person restarts is."""
    stalled = job(stop="restart_stalled")
    for futile, state in ((0, "queued"), (1, "queued"), (2, "failed")):
        decision = decide(replace(stalled, run=replace(RUN, futile=futile)), exited(15, terminated=True), None, POLICY)
        assert (decision.outcome, decision.state, decision.charge) == ("interrupted", state, True)
    asked = decide(job(stop="restart", attempts=2), exited(15, terminated=True), None, POLICY)
    assert (asked.state, asked.charge) == ("queued", False)


@pytest.mark.parametrize("end", ENDS)
def test_a_job_that_is_being_cancelled_is_never_run_again(end: RunEnd) -> None:
    """Not after an error, a time-out or a loss either: no retry is due, nothing is charged."""
    spec = JobSpec(command=["true"], retries=5, on_lost="resume")
    for timed_out in (None, 60.0):
        for run in (RUN, FENCED):
            cancelling = job(state="cancelling", stop="cancelled", spec=spec, run=run)
            decision = decide(cancelling, end, timed_out, POLICY)
            assert decision.state in ENDED_STATES
            assert (decision.due_at, decision.charge) == (None, False)
