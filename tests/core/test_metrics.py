"""What is counted of the journal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.metrics import (
    ENDED,
    EXPIRED,
    OUTCOMES,
    RUN_SECONDS,
    SIGNALS,
    STARTED,
    SUBMITTED,
    WAIT_SECONDS,
    Histogram,
    Metrics,
    of_histogram,
)
from jobkeepd.core.model import Entry, Job, Run

JOB = Job(
    seq=1, id="j1", spec=JobSpec(command=["true"], queue="io"), environment=None, owner=0, state="succeeded",
    created_at=100.0,
    run=Run(number=1, fence=1, state="ended", seat="s", epoch=1, cookie="c", claimed_at=101.0, started_at=103.0),
)  # fmt: skip


def entry(kind: str, at: float = 110.0, **data: Any) -> Entry:
    return Entry(seq=1, at=at, kind=kind, job="j1", run=1, data=data)


def noticed(*entries: Entry) -> Metrics:
    metrics = Metrics()
    metrics.notice(entries, {"j1": JOB}.get)
    return metrics


def test_a_job_is_counted_from_its_submit_to_its_end() -> None:
    """By queue, and by how it ended; how long it waited and ran is measured."""
    metrics = noticed(
        entry("submitted", 100.0), entry("started", 103.0), entry("ended", 110.0, outcome="succeeded"),
        entry("succeeded", 110.0),
    )  # fmt: skip
    assert [metrics.counts[each] for each in (SUBMITTED, STARTED)] == [{("io",): 1}, {("io",): 1}]
    assert (metrics.counts[OUTCOMES], metrics.counts[ENDED]) == ({("io", "succeeded"): 1}, {("io", "succeeded"): 1})
    waited, ran = metrics.histograms[WAIT_SECONDS][("io",)], metrics.histograms[RUN_SECONDS][("io",)]
    assert (waited.sum, ran.sum) == (3.0, 7.0)


def test_what_concerns_no_job_is_counted_too() -> None:
    """Signals by their name, locks that ran out and not those that were given back."""
    metrics = noticed(
        Entry(seq=1, at=1.0, kind="signalled", data={"signal": "TERM"}),
        Entry(seq=2, at=1.0, kind="lock_released", data={"reason": "expired"}),
        Entry(seq=3, at=1.0, kind="lock_released", data={"reason": "released"}),
        Entry(seq=4, at=1.0, kind="daemon_started"),
    )
    assert (metrics.counts[SIGNALS], metrics.counts[EXPIRED]) == ({("TERM",): 1}, {(): 1})


@given(values=st.lists(st.floats(0, 100)), bounds=st.lists(st.floats(0, 100), unique=True, min_size=1).map(sorted))
def test_a_bucket_has_all_values_up_to_its_bound(values: list[float], bounds: list[float]) -> None:
    """And the last one all there are, as OpenMetrics wants it."""
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    assert histogram.cumulative() == [*(sum(value <= bound for value in values) for bound in bounds), len(values)]
    assert histogram.sum == pytest.approx(sum(values))
    last = of_histogram(RUN_SECONDS, ("q",), histogram)[len(bounds)]
    assert (last.labels, last.value) == ({"queue": "q", "le": "+Inf"}, len(values))


def test_a_clock_that_was_set_back_measures_nothing_below_zero() -> None:
    """A sum that falls would be a counter that falls."""
    assert noticed(entry("started", 50.0)).histograms[WAIT_SECONDS][("io",)].sum == 0.0
