"""What one user may take: messages by a bucket of tokens, jobs by their number. Time is virtual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.core.authz import Access, Role
from jobkeepd.core.quota import Bucket, LimitReached, Quota, check_queued


@given(
    st.floats(0.5, 1000), st.lists(st.floats(0, 3), min_size=1, max_size=200), st.integers(1, 20)
)
def test_no_more_is_taken_than_the_rate_and_one_burst_allow(rate: float, pauses: list[float], eager: int) -> None:
    """Whatever the pauses are between the attempts; and who waits as long as he is told gets his token."""
    bucket, now, taken = Bucket(rate, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        for _ in range(eager):
            delay = bucket.take(now)
            if delay:
                assert delay <= 1.0 / rate + 1e-9
                break
            taken += 1
    assert taken <= max(rate * Bucket.BURST, 1.0) + now * rate + 1e-6


@given(st.floats(0.5, 1000), st.integers(1, 50))
def test_who_waits_as_long_as_he_is_told_gets_one(rate: float, count: int) -> None:
    """So nobody asks in vain twice."""
    bucket, now = Bucket(rate, 0.0), 0.0
    for _ in range(count):
        while delay := bucket.take(now):
            now += delay + 1e-9
            assert now < count / rate + 1.0


def test_a_bucket_is_full_after_a_pause_and_never_fuller() -> None:
    """What was not used for long is gone."""
    bucket = Bucket(10.0, 0.0)
    for now in (0.0, 1000.0):
        assert [bucket.take(now) for _ in range(20)] == [0.0] * 20
        assert bucket.take(now) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("uid", "role", "queued", "most"),
    [(5, Role.SUBMITTER, 7, 7), (5, Role.SUBMITTER, 0, None), (5, Role.ADMIN, 7, None), (0, Role.NOBODY, 7, None)],
)
def test_who_administers_has_no_limit(uid: int, role: Role, queued: int, most: int | None) -> None:
    """And 0 is none."""
    assert Quota(queued=queued).queued_of(uid, Access(900, {5: role})) == most


def test_one_job_too_many_is_refused_with_the_number() -> None:
    """All of a batch or none."""
    check_queued(5, 3, 2, 5)
    check_queued(5, 10**6, 10**6, None)
    with pytest.raises(LimitReached, match="user 5 has 4 jobs that wait, and max_queued is 5"):
        check_queued(5, 4, 2, 5)
