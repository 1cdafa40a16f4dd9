"""What becomes of a job when the bridge to its cluster ends, or what that carries."""

from __future__ import annotations

from msgspec.structs import replace

from core.test_ending import POLICY, RESUMING, RUN, job
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.ending import Finished, Gone, Policy, WorkerDied, decide
from jobkeepd.core.model import Exit


def test_the_end_of_a_bridge_is_not_that_of_what_it_carried() -> None:
    """Whatever policy says of lost runs: the next one goes on with it, and no attempt is used up; but not for ever."""
    spec = JobSpec(function="m:f", on="dask:lab")
    for end in (WorkerDied(Exit(9, 10.0)), Gone(10.0)):
        decision = decide(job(spec=spec), end, None, POLICY)
        assert (decision.outcome, decision.state, decision.charge) == ("interrupted", "queued", False)
        poisoned = decide(job(spec=spec, run=replace(RUN, futile=2)), end, None, POLICY)
        assert poisoned.state == "failed"
        assert (poisoned.reason or "").startswith("poison: the bridge to dask:lab ended: ")


def test_a_bridge_that_ends_again_and_again_costs_attempts_and_is_waited_for_longer_and_longer() -> None:
    """Where the job may be tried again it is, as its policy says; a bridge that cannot live is not started for ever."""
    spec = JobSpec(function="m:f", on="dask:lab", retries=2, backoff_s=10.0)
    for attempts, delay in ((0, 10.0), (1, 20.0)):
        third = job(spec=spec, attempts=attempts, run=replace(RUN, futile=2))
        decision = decide(third, Gone(100.0), None, Policy("fail", 0.0))
        assert (decision.outcome, decision.state, decision.charge) == ("interrupted", "scheduled", True)
        assert (decision.futile, decision.due_at) == (0, 100.0 + delay)
        assert (decision.reason or "").startswith("poison: the bridge to dask:lab ended: ")
    last = decide(job(spec=spec, attempts=2, run=replace(RUN, futile=2)), Gone(100.0), None, POLICY)
    assert last.state == "failed"


def test_a_run_that_its_bridge_knows_to_be_lost_follows_the_policy() -> None:
    """With what the bridge says of it."""
    lost = Finished("lost", 10.0, reason="lost: the Dask worker died")
    spec = JobSpec(function="m:f", on="dask:lab")
    failed, resumed = decide(job(spec=spec), lost, None, POLICY), decide(job(spec=spec), lost, None, RESUMING)
    assert (failed.outcome, failed.state, failed.reason) == ("lost", "failed", "lost: the Dask worker died")
    assert (resumed.outcome, resumed.state) == ("lost", "queued")
