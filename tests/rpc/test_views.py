"""The model as people see it: pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import structs

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.lifecycle import STATES, advance
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Entry, Job, Peer, Progress, Run
from jobkeepd.rpc.views import actions_in, event_view, exit_of, job_view, name_of

RUN = Run(
    number=1, fence=1, state="ended", seat="s", epoch=1, cookie="secret", claimed_at=1.0, started_at=2.0, ended_at=5.0,
    outcome="failed", status=3 << 8,
)  # fmt: skip
JOB = Job(
    seq=1, id="abc", spec=JobSpec(command=["/usr/bin/rsync", "-a"]), environment="hash", owner=0, state="failed",
    created_at=1.0, started_at=2.0, ended_at=5.0, run=RUN, outcome="failed",
)  # fmt: skip


def test_a_wait_status_becomes_an_exit_code_or_a_signal() -> None:
    """Never both, and nothing is invented where nobody saw the end."""
    assert [exit_of(status) for status in (0, 3 << 8, 9, 9 | 128, None)] == [
        (0, None),
        (3, None),
        (None, 9),
        (None, 9),
        (None, None),
    ]


def test_the_outcome_is_that_of_the_latest_run() -> None:
    """With its exit code."""
    view = job_view(JOB, [RUN], None, 100.0)

    assert view.outcome is not None
    assert (view.outcome.kind, view.outcome.exit_code, view.elapsed_s) == ("failed", 3, 3.0)
    assert view.ended_at == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)


def test_the_time_of_a_job_is_that_of_its_runs() -> None:
    """Nobody looks in it for the night that a failed job has waited for its resume; a clock set back takes none off."""
    back = structs.replace(RUN, number=2, started_at=90.0, ended_at=80.0)
    third = structs.replace(RUN, number=3, state="running", started_at=100.0, ended_at=None, outcome=None, status=None)
    runs = structs.replace(JOB, state="running", ended_at=None, outcome=None, run=third)
    waits = structs.replace(runs, state="queued", run=back)

    assert job_view(runs, [RUN, back, third], None, 104.0).elapsed_s == 3.0 + 4.0
    assert job_view(waits, [RUN, back], None, 104.0).elapsed_s == 3.0
    assert job_view(structs.replace(waits, run=None, started_at=None), [], None, 104.0).elapsed_s is None


def test_how_many_steps_are_stored_is_shown() -> None:
    """Of a job with a run, whatever has become of that; it costs no read."""
    counts = [job_view(each, [], None, 100.0).steps for each in (JOB, structs.replace(JOB, run=None))]
    assert counts == [0, 0]
    assert job_view(structs.replace(JOB, run=structs.replace(RUN, steps=3)), [RUN], None, 100.0).steps == 3


def test_a_job_that_was_cancelled_between_runs_did_not_end_like_the_last_one() -> None:
    """The exit code of a failed run is not that of the cancellation."""
    view = job_view(structs.replace(JOB, state="cancelled", outcome="cancelled"), [RUN], None, 100.0)

    assert view.outcome is not None
    assert (view.outcome.kind, view.outcome.exit_code) == ("cancelled", None)


@pytest.mark.parametrize("state", ENDED_STATES)
def test_the_view_of_an_ended_job_does_not_depend_on_the_time(state: str) -> None:
    """Nor on signs of life that are left over: it may be kept."""
    job = structs.replace(JOB, state=state)
    left_over = Live(Progress(done=9), 1.0, "late", 2.0)

    assert job_view(job, [RUN], left_over, 200.0) == job_view(job, [RUN], None, 100.0)


@pytest.mark.parametrize("state", STATES)
def test_actions_are_what_the_lifecycle_allows(state: str) -> None:
    """And a refused one has its reason."""
    for has_failed_items in (False, True):
        actions = actions_in(state, has_failed_items)  # type: ignore[arg-type]
        for verb in ("cancel", "resume", "restart"):
            action = getattr(actions, verb)
            assert action.allowed == (advance(state, verb) is not None)  # type: ignore[arg-type]
            assert action.allowed == (action.reason is None)
        assert actions.resume_failed_items.allowed == (state in ENDED_STATES and has_failed_items)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (JobSpec(command=["/usr/bin/rsync"]), "rsync"),
        (JobSpec(command=["make"], name="nightly"), "nightly"),
        (JobSpec(function="crm.tasks:refresh"), "refresh"),
        (JobSpec(command=["/"]), "/"),
    ],
)
def test_a_job_without_a_name_goes_by_that_of_what_it_runs(spec: JobSpec, name: str) -> None:
    """A path is not a name."""
    assert name_of(spec) == name


def test_an_entry_shows_who_asked() -> None:
    """By uid and pid."""
    event = event_view(Entry(seq=1, at=0.0, kind="submitted", job="abc", by=Peer(5, 6, 7)))

    assert event.by is not None
    assert (event.by.uid, event.by.pid) == (5, 7)
