"""The table of transitions, and the actions it allows."""

import pytest

from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core.lifecycle import (
    EVENTS,
    STATES,
    TRANSITIONS,
    advance,
    is_done_for_good,
    may_cancel,
    may_restart,
    may_resume,
    may_resume_failed_items,
    sources,
)

RUN_ENDS = ("fail", "fail_for_good", "interrupt", "lose", "lose_for_good")


def test_the_table_knows_only_declared_states_and_events() -> None:
    """Every pair and every target is a word of the vocabulary."""
    for (state, event), target in TRANSITIONS.items():
        assert state in STATES
        assert event in EVENTS
        assert target in STATES


def test_every_event_is_legal_somewhere_and_every_state_is_reached() -> None:
    """There is no dead event and no state that nothing leads to, but the first."""
    assert {event for _, event in TRANSITIONS} == set(EVENTS)
    assert set(TRANSITIONS.values()) == set(STATES)


def test_ended_states_are_left_only_by_resume() -> None:
    """Terminal is final, except that a person continues the job."""
    exits = {(state, event) for state, event in TRANSITIONS if state in ENDED_STATES}
    again = {(state, "resume_items") for state in ENDED_STATES}
    assert exits == {("failed", "resume"), ("cancelled", "resume")} | again


@pytest.mark.parametrize("state", ["running", "cancelling"])
def test_every_end_of_a_run_leads_somewhere(state: str) -> None:
    """A run may end in any way while its job is running or being cancelled."""
    for event in (*RUN_ENDS, "succeed", "stopped"):
        assert advance(state, event) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("event", RUN_ENDS)
def test_a_job_that_is_being_cancelled_never_runs_again(event: str) -> None:
    """Cancelling and an error: cancelled, never retried."""
    assert advance("cancelling", event) == "cancelled"  # type: ignore[arg-type]


def test_a_job_that_has_succeeded_is_run_again_by_another_submit() -> None:
    """Whichever verb was tried."""
    assert may_restart("succeeded").reason == may_resume("succeeded").reason
    assert may_restart("succeeded").reason == "the job has succeeded; submit it again to run it again"


def test_sources_are_the_guard_of_a_write() -> None:
    """The states an event may come from are read off the table."""
    assert set(sources("resume")) == {"failed", "cancelled"}
    assert set(sources("restart")) == {"running"}


@pytest.mark.parametrize("state", STATES)
def test_actions_are_what_the_table_accepts(state: str) -> None:
    """An action is allowed exactly where its event is legal, and says why where it is not."""
    for judge, event in ((may_cancel, "cancel"), (may_resume, "resume"), (may_restart, "restart")):
        verdict = judge(state)  # type: ignore[arg-type]
        assert verdict.allowed == (advance(state, event) is not None)  # type: ignore[arg-type]
        assert verdict.allowed == (verdict.reason is None)


def test_failed_items_of_a_succeeded_job_may_be_run_again() -> None:
    """A batch with failures succeeds; its failed items are what there is left to do."""
    assert may_resume_failed_items("succeeded", 3).allowed
    assert not may_resume_failed_items("succeeded", 0).allowed
    assert not may_resume_failed_items("running", 3).allowed


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("failed_items", [0, 1])
def test_a_job_is_done_for_good_when_no_verb_runs_it_again(state: JobState, failed_items: int) -> None:
    """Only then nobody needs its secrets any more; one that has not ended may run by itself."""
    verdicts = (may_resume(state), may_restart(state), may_resume_failed_items(state, failed_items))
    may_run = state not in ENDED_STATES or any(verdict.allowed for verdict in verdicts)
    assert is_done_for_good(state, failed_items) is not may_run
