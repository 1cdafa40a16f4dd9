"""What becomes of a run that was open when the daemon last ended."""

from itertools import product
from typing import Any

import pytest

from jobkeepd.core.model import Exit
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


def test_a_start_without_a_trace_is_lost_unless_it_was_never_confirmed() -> None:
    """`starting` without a record never passed its gate; `running` did."""
    assert decide_recovery(job(), seen()).fate == "lost"
    starting = job(run=RUN.__class__(**{**{f: getattr(RUN, f) for f in RUN.__struct_fields__}, "state": "starting"}))
    assert decide_recovery(starting, seen()).fate == "requeue"


@pytest.mark.parametrize(("slot", "accepted", "leader"), list(product([True, False], repeat=3)))
def test_nothing_is_requeued_while_anything_may_live(slot: bool, accepted: bool, leader: bool) -> None:
    """A second copy is never started while the first may live."""
    fate = decide_recovery(job(), seen(slot_alive=slot, accepted=accepted, leader_alive=leader)).fate
    if accepted:
        assert fate != "requeue"
