"""When a new job is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.due import due_at

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(st.floats(0, 366 * 86400), st.floats(0, 4e9))
def test_a_delay_counts_from_when_the_job_was_accepted(delay: float, accepted: float) -> None:
    """And one that is over at once is none."""
    due = due_at(JobSpec(command=["true"], delay_s=delay), accepted)
    assert due == accepted + delay if due is not None else accepted + delay == accepted


@given(MOMENTS, st.floats(0, 4e9), st.integers(-12, 12))
def test_a_moment_is_the_same_in_every_zone_and_over_at_once_when_it_is_past(
    at: datetime, accepted: float, hours: int
) -> None:
    """A job is never started before it."""
    there = at.astimezone(timezone(timedelta(hours=hours)))
    due = due_at(JobSpec(command=["true"], at=there), accepted)
    assert due == (at.timestamp() if at.timestamp() > accepted else None)
