"""Steps: their results are stored, and none is run again once that was acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobkeep.errors import Permanent, StepsChanged, Stopped, TooLarge
from jobkeep.sdk import BlockingJobContext, JobContext
from jobkeep.testing.memory import MemoryPort, Records

from .jobs import Killed

pytestmark = pytest.mark.anyio


class Story:
    """A job of steps whose results tell how often each was run. `kill` dies before, within or after one of them."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.records = Records()
        self.calls = [0] * len(names)
        self.acknowledged: set[int] = set()
        self.port = MemoryPort(self.records)

    def one(self, number: int, kill: tuple[int, str] | None) -> Callable[[str], Any]:
        def call(name: str) -> list[Any]:
            self.die(number, "before", kill)
            self.calls[number] += 1
            self.die(number, "within", kill)
            return [number, name, self.calls[number]]

        return call

    def die(self, number: int, place: str, kill: tuple[int, str] | None) -> None:
        if kill == (number, place):
            self.port.dead = True
            raise Killed

    async def run(self, kill: tuple[int, str] | None = None) -> list[Any]:
        self.port = MemoryPort(self.records)
        context = JobContext(self.records.order(), self.port)
        results = []
        for number, name in enumerate(self.names):
            results.append(await context.step(name, self.one(number, kill), name))
            self.acknowledged.add(number)
            self.die(number, "after", kill)
        return results

    def run_blocking(self, kill: tuple[int, str] | None = None) -> list[Any]:
        self.port = MemoryPort(self.records)
        context = BlockingJobContext(self.records.order(), self.port)
        results = []
        for number, name in enumerate(self.names):
            results.append(context.step(name, self.one(number, kill), name))
            self.acknowledged.add(number)
            self.die(number, "after", kill)
        return results


PLACES = ("before", "within", "after")


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(["fetch", "parse", "load"]), min_size=1, max_size=6),
    kills=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(PLACES), st.booleans()), max_size=5),
)
def test_whatever_is_killed_no_acknowledged_step_is_run_again(
    names: list[str], kills: list[tuple[int, str, bool]]
) -> None:
    """And results are those of the one time that it was run, also where names come again."""
    story = Story(names)
    for number, place, blocking in kills:
        known, before = set(story.acknowledged), list(story.calls)
        with pytest.raises(Killed) if number < len(names) and can_die(story, number, place) else nullcontext():
            if blocking:
                story.run_blocking((number, place))
            else:
                anyio.run(story.run, (number, place))
        assert [story.calls[one] for one in known] == [before[one] for one in known]
    results = story.run_blocking()
    assert [(result[0], result[1]) for result in results] == list(enumerate(names))
    assert [result[2] for result in results] == story.calls
    assert anyio.run(story.run) == results


def can_die(story: Story, number: int, place: str) -> bool:
    """A step that is stored is not run, so nothing dies within it."""
    return place == "after" or number >= len(story.records.steps)


async def test_a_stored_result_comes_back_as_it_came_the_first_time() -> None:
    """Both times as JSON has it: nothing in a later run may differ from the first one."""
    records = Records()

    async def make() -> tuple[int, set[str]]:
        await anyio.lowlevel.checkpoint()
        return 1, {"a"}

    first = await JobContext(records.order(), MemoryPort(records)).step("make", make)
    port = MemoryPort(records)
    second = await JobContext(records.order(), port).step("make", make)

    assert first == second == [1, ["a"]]
    assert (port.steps.fetched, port.steps.sent) == ([0], [])


async def test_a_plain_step_of_an_async_job_runs_in_a_thread() -> None:
    """The loop goes on; what a lambda returns is awaited."""
    context = JobContext(Records().order(), MemoryPort(Records()))

    async def later(value: int) -> int:
        await anyio.lowlevel.checkpoint()
        return value

    assert await context.step("thread", threading.get_ident) != threading.get_ident()
    assert await context.step("lambda", lambda: later(3)) == 3


async def test_a_step_of_another_name_is_an_error_that_names_both() -> None:
    """Nothing is run, nothing is forgotten: the old order still works."""
    records = Records()
    context = JobContext(records.order(), MemoryPort(records))
    await context.step("fetch", lambda: 1)
    await context.step("parse", lambda: 2)

    for make in (JobContext, BlockingJobContext):
        changed: Any = make(records.order(), MemoryPort(records))

        async def parse(changed: Any = changed) -> None:
            await changed.step("parse", pytest.fail)

        with pytest.raises(StepsChanged, match="step 1 of the job was 'fetch' .* now 'parse'") as caught:
            await parse()
        assert (caught.value.step, caught.value.expected, caught.value.found) == (1, "fetch", "parse")
        assert isinstance(caught.value, Permanent)
    again = JobContext(records.order(), MemoryPort(records))
    assert [await again.step(name, pytest.fail) for name in ("fetch", "parse")] == [1, 2]


async def test_a_step_that_raises_stores_nothing_and_may_be_tried_again() -> None:
    """In the same run, too: its place is still free."""
    records = Records()
    context = JobContext(records.order(), MemoryPort(records))

    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        await context.step("fetch", fail)
    assert records.steps == []
    assert await context.step("fetch", lambda: 7) == 7
    assert [name for name, _ in records.steps] == ["fetch"]


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("x" * (256 << 10), TooLarge, "the result of step 'big' is 262146 bytes as JSON, over the limit of 262144"),
        (float("nan"), TypeError, "the result of step 'big' cannot be JSON"),
        (object(), TypeError, "the result of step 'big' cannot be JSON"),
    ],
)
async def test_a_result_that_cannot_be_kept_is_refused_with_its_limit(
    value: object, error: type[Exception], words: str
) -> None:
    """The step counts as not run."""
    records = Records()
    with pytest.raises(error, match=words):
        await JobContext(records.order(), MemoryPort(records)).step("big", lambda: value)
    assert records.steps == []


async def test_steps_are_sequential() -> None:
    """One within another, two at once, one within a batch and a batch within one are errors that say so."""
    context = JobContext(Records().order(), MemoryPort(Records()))

    async def inner() -> None:
        await context.step("inner", lambda: 1)

    async def batch() -> None:
        await context.for_each([1], lambda item: None)

    with pytest.raises(RuntimeError, match="'inner' was begun while step 'outer' is in work: steps are sequential"):
        await context.step("outer", inner)
    with pytest.raises(RuntimeError, match="for_each was begun within step 'outer'"):
        await context.step("outer", batch)

    async def one(item: int) -> None:
        with pytest.raises(RuntimeError, match="'item' was begun while a for_each is under way: steps are sequential"):
            await context.step("item", lambda: item)

    assert (await context.for_each([1, 2], one)).tallies == {"done": 2}


@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "-"])
async def test_a_name_is_one_word(name: str) -> None:
    """It is shown, and has to fit the wire."""
    with pytest.raises(ValueError, match="is no name for a step"):
        await JobContext(Records().order(), MemoryPort(Records())).step(name, lambda: 1)


async def test_a_stop_comes_between_steps_and_what_is_done_is_kept() -> None:
    """Also where it came while the step was in work."""
    for make in (JobContext, BlockingJobContext):
        records = Records()
        port = MemoryPort(records)
        context: Any = make(records.order(), port)

        def stopping(port: MemoryPort = port) -> int:
            port.stop_reason = "cancelled"
            return 5

        with pytest.raises(Stopped):
            await context.step("last", stopping)
        assert [name for name, _ in records.steps] == ["last"]
        with pytest.raises(Stopped):
            await context.step("next", pytest.fail)


async def test_a_drain_takes_a_job_behind_a_step() -> None:
    """There a later run can go on; also in a sleep that follows it."""
    records = Records()
    port = MemoryPort(records)
    context = JobContext(records.order(), port)
    port.stop_reason = "drain"
    with pytest.raises(Stopped, match="drain"):
        await context.step("first", lambda: 1)
    again = JobContext(records.order(), port)
    await anyio.lowlevel.checkpoint()
    with pytest.raises(Stopped, match="drain"):
        await again.sleep(60)


def test_an_async_step_of_a_plain_function_is_refused() -> None:
    """There is no loop that could run it."""

    async def later() -> None: ...

    with pytest.raises(TypeError, match="make the function async"):
        BlockingJobContext(Records().order(), MemoryPort(Records())).step("late", later)
