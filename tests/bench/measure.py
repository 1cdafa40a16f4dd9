"""What a measure is, and how its rounds come to a figure beside the promised bound."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from bench.rig import Rig


class Bound(NamedTuple):
    """A promise. The ratio is ours / raw; an alternative in absolute terms is enough by itself."""

    ratio_at_most: float | None = None
    ratio_at_least: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    def held(self, ours: float, ratio: float) -> bool:
        return any(
            (
                self.ratio_at_most is not None and ratio <= self.ratio_at_most,
                self.ratio_at_least is not None and ratio >= self.ratio_at_least,
                self.at_most is not None and ours <= self.at_most,
                self.at_least is not None and ours >= self.at_least,
            )
        )

    def __str__(self) -> str:
        parts = {
            "≤ {} ×": self.ratio_at_most,
            "≥ {} ×": self.ratio_at_least,
            "≤ {:,.0f}": self.at_most,
            "≥ {:,.0f}": self.at_least,
        }
        return " or ".join(form.format(value) for form, value in parts.items() if value is not None) or "–"


INFORMATION = Bound()


class NotHere(Exception):
    """A measure that this machine cannot take, and why."""


class Sample(NamedTuple):
    """One round: both sides measured next to each other."""

    raw: float
    ours: float


class Measure(Protocol):
    """One row of the table. `bound` is INFORMATION where nothing is promised."""

    name: str
    what: str
    unit: str
    bound: Bound

    def prepare(self, rig: Rig) -> None:
        """Start what the rounds need; the rig ends it."""

    def round(self) -> Sample: ...


class Figure(NamedTuple):
    """The medians over all rounds; `ratio` is the median of the rounds' own ratios."""

    name: str
    what: str
    unit: str
    raw: float
    ours: float
    ratio: float
    bound: Bound
    held: bool | None
    rounds: list[Sample]

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "bound": str(self.bound), "rounds": [list(sample) for sample in self.rounds]}


def figure(measure: Measure, rounds: list[Sample]) -> Figure:
    raw = statistics.median(sample.raw for sample in rounds)
    ours = statistics.median(sample.ours for sample in rounds)
    ratio = statistics.median(sample.ours / sample.raw for sample in rounds)
    held = None if measure.bound == INFORMATION else measure.bound.held(ours, ratio)
    return Figure(measure.name, measure.what, measure.unit, raw, ours, ratio, measure.bound, held, rounds)


def interleave(measures: Iterable[Measure], rounds: int, told: Callable[[str], None]) -> list[Figure]:
    """Every measure once per round, so that a slow minute of the machine hits all of them alike."""
    listed = list(measures)
    samples: dict[str, list[Sample]] = {measure.name: [] for measure in listed}
    for number in range(1, rounds + 1):
        for measure in listed:
            told(f"round {number}/{rounds}: {measure.name}")
            samples[measure.name].append(measure.round())
    return [figure(measure, samples[measure.name]) for measure in listed]
