"""What is on record of a cancelled job: who wanted that, and why."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from jobkeepd.core.ending import Exited, Finished, Gone, Policy, RunEnd, WorkerDied, decide
from jobkeepd.core.explain import Facts, explain
from jobkeepd.core.model import Exit, Job, JobSpec, Peer, Run
from jobkeepd.core.wording import cancelled_by

POLICY = Policy(on_lost="fail", jitter=1.0)
WHY = "cancelled by the daemon: stalled: no progress for 1 s"
CANCELLING = Job(
    seq=1, id="j1", spec=JobSpec(command=["x"]), environment=None, owner=0, state="cancelling", created_at=1.0,
    run=Run(number=1, fence=1, state="running", seat="s", epoch=1, cookie="c", claimed_at=2.0), stop="cancelled",
    reason=WHY,
)  # fmt: skip


def test_who_and_why_in_words() -> None:
    """The daemon's own policies are no user's; nobody has to give a reason."""
    assert cancelled_by(Peer(1000, 1000, 7), "disk swap") == "cancelled by user 1000: disk swap"
    assert cancelled_by(Peer(0, 0, 7), None) == "cancelled by user 0"
    assert cancelled_by(None, "stalled: no progress for 1 s") == WHY


@pytest.mark.parametrize(
    "end", [Exited(Exit(15, 9.0), terminated=True), WorkerDied(Exit(9, 9.0)), Finished("failed", 9.0), Gone(9.0)]
)
def test_a_cancelled_run_ends_with_who_wanted_that_and_why(end: RunEnd) -> None:
    """Not with the signal, which its status tells."""
    ended = decide(CANCELLING, end, None, POLICY)
    assert (ended.outcome, ended.reason) == ("cancelled", WHY)


def test_a_wish_of_an_earlier_version_is_told_by_its_signal() -> None:
    """That one has put nothing on the job's record."""
    ended = decide(replace(CANCELLING, reason=None), Exited(Exit(15, 9.0)), None, POLICY)
    assert (ended.status, ended.reason) == (15, "ended by signal 15 (SIGTERM)")


def test_explain_says_it_before_and_after_the_end() -> None:
    """In a sentence, and without saying `cancelled` twice."""
    first = explain(CANCELLING, Facts(now=5.0))[0]
    assert first.text.startswith(f"it is to be {WHY}: its run has been asked")
    over = replace(CANCELLING, state="cancelled", stop=None, ended_at=9.0, outcome="cancelled")
    assert explain(over, Facts(now=10.0))[0].text == f"it was {WHY}"
