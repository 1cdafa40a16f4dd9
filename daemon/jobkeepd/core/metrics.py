"""What is counted of a daemon's life, and how the journal is read for it. Pure.

Names, kinds and units are those of OpenMetrics (https://prometheus.io/docs/specs/om/open_metrics_spec/): counters only
rise, and begin anew with each daemon; a histogram counts the values up to each of its bounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final, Literal

from msgspec import Struct

from jobkeep.protocol.metrics import MetricSample as Sample
from jobkeepd.core.model import Entry, Job

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]  # values, in the order of the family's label names

RUN_BOUNDS: Final = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
WAIT_BOUNDS: Final = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 24 * 3600.0)
COMMIT_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Histogram:
    """How many values were at most each of `bounds`, how many in all, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[int]:
        """Up to each bound, and at last all."""
        return list(accumulate(self._counts))


class Family(Struct, frozen=True):
    """One metric: `name` without the prefix, and without the suffix `_total` that a counter gets."""

    name: str
    kind: Kind
    help: str
    labels: Labels = ()


SUBMITTED: Final = Family("jobs_submitted", "counter", "Jobs that were accepted.", ("queue",))
ENDED: Final = Family("jobs_ended", "counter", "Jobs that ended, by how they did.", ("queue", "state"))
STARTED: Final = Family("runs_started", "counter", "Runs that began.", ("queue",))
OUTCOMES: Final = Family("runs_ended", "counter", "Runs that ended, by their outcome.", ("queue", "outcome"))
RETRIES: Final = Family("retries", "counter", "Runs that will be tried again by policy.", ("queue",))
STALLED: Final = Family("jobs_stalled", "counter", "Times that a run showed no progress for too long.", ("queue",))
FENCED: Final = Family("runs_fenced", "counter", "Runs whose lease was taken from them.", ("queue",))
EXPIRED: Final = Family("locks_expired", "counter", "Locks of clients that ran out without a renewal.")
SIGNALS: Final = Family("processes_signalled", "counter", "Signals that were sent to processes.", ("signal",))
RECOVERED: Final = Family("runs_recovered", "counter", "Runs that recovery decided on.", ("queue",))
RUN_SECONDS: Final = Family("run_duration_seconds", "histogram", "From the start of a run to its end.", ("queue",))
WAIT_SECONDS: Final = Family("wait_seconds", "histogram", "From the submit of a job to its first start.", ("queue",))
COMMIT_SECONDS: Final = Family("commit_duration_seconds", "histogram", "From a change's turn to its being durable.")

_BY_KIND: Final[dict[str, Family]] = {
    "submitted": SUBMITTED, "started": STARTED, "retry": RETRIES, "stalled": STALLED, "fenced": FENCED,
    "recovered": RECOVERED,
}  # fmt: skip
_ENDS: Final = frozenset({"succeeded", "failed", "cancelled"})
COUNTERS: Final = (
    SUBMITTED, STARTED, OUTCOMES, ENDED, RETRIES, STALLED, FENCED, RECOVERED, EXPIRED, SIGNALS,
)  # fmt: skip


class Metrics:
    """Counts what the journal says."""

    def __init__(self) -> None:
        self.counts: dict[Family, Counter[Labels]] = {family: Counter() for family in COUNTERS}
        self.histograms: dict[Family, dict[Labels, Histogram]] = {RUN_SECONDS: {}, WAIT_SECONDS: {}}

    def notice(self, entries: Iterable[Entry], job_of: Callable[[str], Job | None]) -> None:
        """What was just committed; `job_of` knows the jobs that were concerned."""
        for entry in entries:
            job = None if entry.job is None else job_of(entry.job)
            queue = "" if job is None else job.spec.queue
            if (family := _BY_KIND.get(entry.kind)) is not None:
                self.counts[family][(queue,)] += 1
                if family is STARTED and job is not None:
                    self._begun(entry, job, queue)
            elif entry.kind == "ended":
                self.counts[OUTCOMES][(queue, str(entry.data.get("outcome")))] += 1
                if job is not None and job.run is not None and job.run.started_at is not None:
                    self._observe(RUN_SECONDS, RUN_BOUNDS, queue, entry.at - job.run.started_at)
            elif entry.kind in _ENDS:
                self.counts[ENDED][(queue, entry.kind)] += 1
            elif entry.kind == "signalled":
                self.counts[SIGNALS][(str(entry.data.get("signal")),)] += 1
            elif entry.kind == "lock_released" and entry.data.get("reason") == "expired":
                self.counts[EXPIRED][()] += 1

    def _begun(self, entry: Entry, job: Job, queue: str) -> None:
        if entry.run == 1:
            self._observe(WAIT_SECONDS, WAIT_BOUNDS, queue, entry.at - job.created_at)

    def _observe(self, family: Family, bounds: Sequence[float], queue: str, value: float) -> None:
        found = self.histograms[family]
        histogram = found.get((queue,))
        if histogram is None:
            histogram = found[(queue,)] = Histogram(bounds)
        histogram.observe(max(0.0, value))  # the wall clock may have been set meanwhile

    def samples(self) -> list[tuple[Family, list[Sample]]]:
        """All that was counted so far."""
        counted = [
            (family, [Sample("_total", _named(family, labels), count) for labels, count in sorted(counts.items())])
            for family, counts in self.counts.items()
        ]
        measured = [
            (family, [sample for each in sorted(found) for sample in of_histogram(family, each, found[each])])
            for family, found in self.histograms.items()
        ]
        return counted + measured


def of_histogram(family: Family, labels: Labels, histogram: Histogram) -> list[Sample]:
    """Its buckets, their count and their sum."""
    named = _named(family, labels)
    words = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    counts = histogram.cumulative()
    buckets = [Sample("_bucket", {**named, "le": le}, count) for le, count in zip(words, counts, strict=True)]
    return [*buckets, Sample("_count", named, counts[-1]), Sample("_sum", named, histogram.sum)]


def gauge(family: Family, values: Iterable[tuple[Labels, float]]) -> tuple[Family, list[Sample]]:
    """What is so at this moment."""
    return family, [Sample("", _named(family, labels), value) for labels, value in values]


def _named(family: Family, labels: Labels) -> dict[str, str]:
    return dict(zip(family.labels, labels, strict=True))
