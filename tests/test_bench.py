"""How rounds come to a figure beside a promise; no figure decides a test's verdict."""

from __future__ import annotations

import pytest

from bench.measure import INFORMATION, Bound, Sample, interleave
from bench.rig import Rig


class Fixed:
    """A measure whose rounds are known, and that notes when they were taken."""

    what = "fixed"
    unit = "ms"

    def __init__(self, name: str, bound: Bound, rounds: list[Sample], order: list[str]) -> None:
        self.name = name
        self.bound = bound
        self._rounds = iter(rounds)
        self._order = order

    def prepare(self, rig: Rig) -> None:
        raise NotImplementedError

    def round(self) -> Sample:
        self._order.append(self.name)
        return next(self._rounds)


def test_rounds_of_all_measures_take_turns() -> None:
    """A slow minute of the machine hits all of them alike."""
    order: list[str] = []
    samples = [Sample(1, 1)] * 2
    interleave([Fixed(name, INFORMATION, samples, order) for name in "ab"], 2, lambda text: None)

    assert order == ["a", "b", "a", "b"]


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """Not the ratio of the medians: raw and ours of a round share its conditions."""
    rounds = [Sample(1, 2), Sample(10, 30), Sample(100, 100)]
    (figure,) = interleave([Fixed("a", Bound(ratio_at_most=2), rounds, [])], 3, lambda text: None)

    assert figure.ratio == 2
    assert figure.held


@pytest.mark.parametrize(
    ("bound", "held"),
    [
        (Bound(ratio_at_most=1.3), False),
        (Bound(ratio_at_least=0.3), True),
        (Bound(at_most=45), False),
        (Bound(ratio_at_least=3, at_least=40), True),
    ],
)
def test_one_side_of_a_promise_is_enough(bound: Bound, held: bool) -> None:
    """A ratio or an absolute figure."""
    assert bound.held(ours=50, ratio=2) is held


def test_without_a_promise_there_is_no_verdict() -> None:
    """Informative rows are neither held nor missed."""
    (figure,) = interleave([Fixed("a", INFORMATION, [Sample(1, 1)], [])], 1, lambda text: None)

    assert figure.held is None
