"""How long a job waits for its start: dated in a clock that nobody sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Job, Moment
from jobkeepd.core.patience import deadline_of, redated, why_not_started

UTC = st.floats(-1e10, 1e10)
TIME = st.floats(0, 1e8)
SPEC = JobSpec(command=["true"], queue_timeout_s=60.0, lock="crm", key="refresh")


def test_a_job_without_a_limit_waits_for_ever() -> None:
    """And so does one of whose start nobody knows the date."""
    assert deadline_of(JobSpec(command=["true"]), Moment("b", 1.0), 5.0) is None
    assert deadline_of(SPEC, None, 5.0) is None


@given(at=UTC, later=UTC, now=TIME)
def test_a_jump_of_the_clock_moves_no_deadline_of_this_boot(at: float, later: float, now: float) -> None:
    """Whatever UTC says by then."""
    deadline = deadline_of(SPEC, Moment("b", now), at)
    assert deadline is not None
    assert deadline.until == Moment("b", now + 60)
    assert redated(deadline, Moment("b", now + 5), later) == deadline


def test_after_another_boot_utc_tells_how_much_is_left() -> None:
    """Time has passed while the host was down."""
    deadline = deadline_of(SPEC, Moment("b", 500.0), 1000.0)
    assert deadline is not None
    after = redated(deadline, Moment("c", 7.0), 1020.0)
    assert (after.until, after.utc) == (Moment("c", 47.0), 1060.0)


def test_the_reason_says_what_the_job_waited_for() -> None:
    """Its lock, its key, or only its turn."""
    base = Job(seq=1, id="a", spec=SPEC, environment=None, owner=0, state="queued", created_at=0.0)
    assert why_not_started(base) == "timed out in the queue after 60 s"
    blocked = [why_not_started(Job(**{**_fields(base), "blocked": by})).partition(": ")[2] for by in ("lock", "key")]
    assert blocked == ["it waited for its lock crm", "it waited for its key refresh"]


def _fields(job: Job) -> dict[str, object]:
    return {name: getattr(job, name) for name in job.__struct_fields__}
