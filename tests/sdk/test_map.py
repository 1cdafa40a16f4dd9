"""A map: whoever works on its items, in whatever order they come back, the books are those of a batch."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from jobkeep import BlockingJobContext, JobContext, Stopped, TooManyFailures
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.sdk.crew import Done, Function, work_off
from jobkeep.testing import BlockingFakeContext, Rehearsal
from jobkeep.testing.memory import MemoryPort, Records

ITEMS = 40


def label(item: int) -> str:
    if item % 5 == 0:
        raise ValueError(f"{item} is bad")
    return "even" if item % 2 == 0 else "odd"


EXPECTED = {"even": 16, "odd": 16, "failed": 8}


async def spread(ctx: JobContext, every: int = 6) -> dict[str, int]:
    return (await ctx.map(label, range(ITEMS), key=str, every=every)).tallies


def spread_plainly(ctx: BlockingJobContext, every: int = 6) -> dict[str, int]:
    return ctx.map(label, range(ITEMS), key=str, every=every).tallies


@pytest.mark.parametrize("function", [spread, spread_plainly])
@pytest.mark.parametrize("count", range(0, ITEMS - 6, 8))
def test_a_map_that_is_stopped_and_killed_ends_as_if_undisturbed(function: Any, count: int) -> None:
    """Items that were begun twice are at most those that were not durable."""
    job = Rehearsal(function)
    job.stop_after(count)
    assert job.done == count
    job.kill_after(5)
    assert job.run() == EXPECTED
    assert Counter(job.failed) == Counter(str(item) for item in range(0, ITEMS, 5))
    assert set(job.items) == set(range(ITEMS))
    assert len(job.items) - ITEMS <= 6


def test_only_failed_items_are_mapped_again_where_that_is_asked_for() -> None:
    """The others are left out, and those that go well are off the record."""
    healed = False

    def heals(item: int) -> str:
        return "odd" if healed else label(item)

    def job_function(ctx: BlockingJobContext) -> dict[str, int]:
        return ctx.map(heals, range(ITEMS), key=str).tallies

    job = Rehearsal(job_function)
    job.run()
    healed = True
    assert job.run(failed_items=True) == {"even": 16, "odd": 24}
    assert sorted(job.items[ITEMS:]) == list(range(0, ITEMS, 5))
    assert job.failed == []


class Crew:
    """Gives bundles back when the test's own draws say so; an item of `deadly` takes its worker with it."""

    def __init__(self, function: Function, width: int, draw: Callable[[int], int], deadly: set[int]) -> None:
        self.width = width
        self.done: deque[tuple[int, Done]] = deque()
        self.out: dict[int, list[int]] = {}
        self.begun: list[int] = []
        self.ended = False
        self._function = function
        self._draw = draw
        self._deadly = deadly

    def hand_out(self, number: int, items: list[Any]) -> None:
        self.out[number] = items
        self.begun += items

    def end(self) -> None:
        self.ended = True

    def work(self) -> None:
        """One bundle comes back, more or less done."""
        number = list(self.out)[self._draw(len(self.out))]
        items = self.out.pop(number)
        fine = next((at for at, item in enumerate(items) if item in self._deadly), len(items))
        if fine < len(items):
            self.done.append((number, Done(died="it died")))
        else:
            self.done.append((number, work_off(self._function, items[: 1 + self._draw(len(items))])))


class Port(MemoryPort):
    """Whoever waits has its crew work, and sees how much is out and not durable."""

    def __init__(self, records: Records, most_at_risk: int, **crew: Any) -> None:
        super().__init__(records, lag=2)
        self.crew: Crew
        self._most_at_risk = most_at_risk
        self.recruit = lambda function, most: self._recruited(Crew(function, **crew))

    def _recruited(self, crew: Crew) -> Crew:
        self.crew = crew
        return crew

    def until_blocking(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        assert len(set(self.crew.begun)) - self.records.done <= self._most_at_risk
        if self.crew.out:
            self.crew.work()
        return ready()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 30), st.sets(st.integers(0, ITEMS - 1), max_size=4), st.integers(0, 1 << 32))
def test_each_item_counts_once_in_whatever_order_bundles_come_back(
    width: int, every: int, deadly: set[int], seed: int
) -> None:
    """Also where some come back undone, or die; one that dies alone has failed, and takes no other with it."""
    chance = Random(seed)  # and none of hypothesis: how much is drawn depends on how long bundles take
    port = Port(Records(), max(every, 2 * width), width=width, draw=chance.randrange, deadly=deadly)
    context = BlockingJobContext(port.records.order(), port)
    batch = context.map(label, range(ITEMS), key=str, every=every)
    bad = {item for item in range(ITEMS) if item % 5 == 0 or item in deadly}
    assert batch.done == sum(batch.tallies.values()) == ITEMS
    assert (batch.failed_items, batch.tallies.get("failed", 0)) == (len(bad), len(bad))
    assert {int(item.key) for item in port.records.failed.values()} == bad
    died = {int(each.key) for each in port.records.failed.values() if each.error == ErrorInfo("WorkerDied", "it died")}
    assert died == deadly
    assert port.crew.ended


def test_a_map_that_is_to_stop_waits_for_what_is_in_work_and_hands_out_no_more() -> None:
    """For a drain as long as that takes; what has come back is durable."""
    port = Port(Records(), 1000, width=3, draw=lambda below: 0, deadly=set())
    port.on_checkpoint = lambda content: port.stop("drain")
    context = BlockingJobContext(port.records.order(), port)
    with pytest.raises(Stopped):
        context.map(label, range(ITEMS), every=10)
    assert not port.crew.out
    assert port.crew.ended
    assert 0 < port.records.done < ITEMS


def test_a_map_ends_with_too_many_failures_or_what_cannot_be_done() -> None:
    """And with its crew."""
    port = Port(Records(), 1000, width=2, draw=lambda below: 0, deadly=set())
    context = BlockingJobContext(port.records.order(), port)
    with pytest.raises(TooManyFailures):
        context.map(label, range(ITEMS), max_failures=2)
    assert port.crew.ended
    with pytest.raises(TypeError, match="which is no label"):
        context.map(lambda item: item, range(3))  # type: ignore[arg-type,return-value]
    assert port.crew.ended


async def nothing(item: int) -> None:
    """An async function."""


async def never() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "items", "options", "said"),
    [
        (nothing, range(3), {}, "a plain one"),
        (label, never(), {}, "a plain source"),
        (label, 7, {}, "a source is an iterable"),
        (label, range(3), {"concurrency": 0}, "at least 1"),
        (label, range(3), {"every": 0}, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_said(function: Any, items: Any, options: dict[str, Any], said: str) -> None:
    """By name, before an item is begun."""
    with pytest.raises((TypeError, ValueError), match=said):
        BlockingFakeContext().map(function, items, **options)
