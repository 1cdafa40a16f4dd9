"""What org.jobkeep.Admin.Metrics says: numbers about the daemon, in the words of OpenMetrics."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class MetricSample(Struct, frozen=True):
    """`suffix` stands behind the name of the family: `_total`, `_bucket`, `_count`, `_sum`, or nothing."""

    suffix: str
    labels: dict[str, str]
    value: float


class MetricFamily(Struct, frozen=True):
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[MetricSample]


class MetricsReply(Struct):
    families: list[MetricFamily]
