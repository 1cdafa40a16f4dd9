"""What becomes of a run that was open when the daemon last ended."""

from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Exit, Job
from jobkeepd.core.recovery import Evidence, decide_recovery

from .test_ending import RUN, job


def seen(**changes: Any) -> Evidence:
    """Nothing is there."""
    base: dict[str, Any] = {"same_boot": True, "slot_alive": False, "accepted": False, "leader_alive": False}
    return Evidence(**{**base, **changes})


def test_a_living_run_is_adopted() -> None:
    """Its process is alive: it is ours again."""
    assert decide_recovery(job(), seen(slot_alive=True, accepted=True, leader_alive=True)).fate == "adopt"


def test_a_recorded_exit_is_believed() -> None:
    """The shim saw it."""
    assert decide_recovery(job(), seen(accepted=True, exit=Exit(0, 1.0))).fate == "record_exit"


def test_a_spooled_result_wins_over_everything() -> None:
    """The worker said how it ended, even if the host was restarted since."""
    assert decide_recovery(job(), seen(same_boot=False, result_spooled=True)).fate == "record_result"


def test_a_living_slot_that_never_accepted_the_run_proves_that_nothing_ran() -> None:
    """It closed the connection that the start may have been in, unread."""
    assert decide_recovery(job(), seen(slot_alive=True)).fate == "requeue"


def test_a_silent_slot_is_waited_for_unless_its_records_say_enough() -> None:
    """It may hold a start that nobody else knows of; what it has on record is as good as its word."""
    assert decide_recovery(job(), seen(slot_alive=True, silent=True)).fate == "await"
    living = seen(slot_alive=True, silent=True, accepted=True, leader_alive=True)
    assert decide_recovery(job(), living).fate == "adopt"
    over = seen(slot_alive=True, silent=True, accepted=True, exit=Exit(0, 1.0))
    assert decide_recovery(job(), over).fate == "record_exit"


def test_a_start_without_a_trace_is_lost_unless_it_was_never_confirmed() -> None:
    """`starting` without a record never passed its gate; `running` did."""
    assert decide_recovery(job(), seen()).fate == "lost"
    assert decide_recovery(job(run=replace(RUN, state="starting")), seen()).fate == "requeue"


DEAD: dict[str, Any] = {"accepted": True, "exit": Exit(9, 1.0)}


@pytest.mark.parametrize("state", ["starting", "running"])
@pytest.mark.parametrize("seen_exit", [Exit(9, 1.0), None])
def test_a_function_that_its_dead_worker_had_not_begun_runs_again(state: str, seen_exit: Exit | None) -> None:
    """The worker puts each run on record before it begins it; that the daemon has sent it proves nothing."""
    of_function = function(state)
    assert decide_recovery(of_function, seen(accepted=True, exit=seen_exit, begun="never")).fate == "requeue"
    assert decide_recovery(of_function, seen(accepted=True, leader_alive=True, begun="never")).fate == "adopt"


@pytest.mark.parametrize("state", ["starting", "running"])
def test_a_function_that_its_dead_worker_had_begun_last_ended_with_it(state: str) -> None:
    """Whatever the store knew of it."""
    assert decide_recovery(function(state), seen(**DEAD, begun="last")).fate == "record_exit"
    assert decide_recovery(function(state), seen(accepted=True, begun="last")).fate == "lost"


@pytest.mark.parametrize("state", ["starting", "running"])
def test_a_function_that_had_ended_untold_is_lost(state: str) -> None:
    """Its worker began another one after it, and died: that exit is not this run's."""
    assert decide_recovery(function(state), seen(**DEAD, begun="earlier")).fate == "lost"


def test_without_a_record_of_what_was_begun_a_start_may_have_been() -> None:
    """A worker of before that was kept, or on a full disk."""
    assert decide_recovery(function("starting"), seen(**DEAD)).fate == "lost"
    assert decide_recovery(function("running"), seen(**DEAD)).fate == "record_exit"


def function(state: str) -> Job:
    return replace(job(run=replace(RUN, state=state)), spec=JobSpec(function="m:f"))


@pytest.mark.parametrize(("slot", "accepted", "leader"), list(product([True, False], repeat=3)))
def test_nothing_is_requeued_while_anything_may_live(slot: bool, accepted: bool, leader: bool) -> None:
    """A second copy is never started while the first may live."""
    fate = decide_recovery(job(), seen(slot_alive=slot, accepted=accepted, leader_alive=leader)).fate
    if accepted:
        assert fate != "requeue"
