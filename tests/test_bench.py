"""How rounds come to a figure beside a promise; no figure decides a test's verdict."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import chart, report
from bench.measure import INFORMATION, Bound, Sample, interleave
from bench.rig import Rig

ROOT = Path(__file__).parents[1]


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


@pytest.mark.parametrize(
    ("bound", "share"),
    [
        (Bound(ratio_at_most=1), 0.5),
        (Bound(ratio_at_least=1), 2),
        (Bound(at_most=25), 0.5),
        (Bound(at_least=25), 2),
        (Bound(ratio_at_least=1, at_least=500), 2),
    ],
)
def test_a_bar_says_how_much_of_the_promise_is_kept(bound: Bound, share: float) -> None:
    """Beyond 1 is more than promised, whether low or high is good."""
    assert chart.kept(bound, ours=50, ratio=2) == share


def test_the_chart_is_one_picture_with_a_bar_for_each_promise() -> None:
    """Rows without a promise are none, whatever is missed is marked as missed, and nothing breaks the XML."""
    measures = [
        Fixed("kept", Bound(ratio_at_most=2), [Sample(1, 1)], []),
        Fixed("missed & <named>", Bound(ratio_at_least=2), [Sample(1, 1)], []),
        Fixed("told", INFORMATION, [Sample(1, 1)], []),
    ]
    picture = ElementTree.fromstring(chart.svg(chart.bars(interleave(measures, 1, lambda text: None)), "1 < 2"))
    kinds = [bar.get("class") for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]

    assert kinds == ["held", "missed"]


def test_what_could_not_be_measured_is_told_with_its_reason() -> None:
    """A peer that is not to be had is no row, and no silence either."""
    assert "tsp: NOT MEASURED, no such package" in report.table([], {"tsp": "no such package"})


def test_a_busy_machine_is_told_of() -> None:
    """Figures of processes side by side are not what they would be on a quiet one."""
    assert "BUSY" in str(report.Conditions(5, cpus=2, load=1.0))
    assert "BUSY" not in str(report.Conditions(5, cpus=2, load=0.9))


def test_the_chart_of_the_readme_is_there() -> None:
    """`make bench` draws it anew in the same place."""
    assert "(tests/bench/chart.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")
    ElementTree.parse(ROOT / "tests/bench/chart.svg")
