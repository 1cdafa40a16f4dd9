"""A batch that is killed or stopped anywhere ends as if nothing had happened."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobkeep.errors import Stopped
from jobkeep.sdk import Batch

from .jobs import Job, Killed

pytestmark = pytest.mark.anyio


def expected(items: int, failing: set[int]) -> dict[str, int]:
    """The tallies of an undisturbed pass."""
    labels = Counter("failed" if i in failing else "even" if i % 2 == 0 else "odd" for i in range(items))
    return dict(labels)


def same_as_undisturbed(job: Job, batch: Batch, items: int, failing: set[int]) -> None:
    assert batch.tallies == job.records.tallies == expected(items, failing)
    assert batch.done == job.records.done == items
    assert batch.failed_items == len(failing)
    assert {int(key) for _, key in job.records.failed} == failing
    assert set(job.calls) == set(range(items))


def run(job: Job, **options: Any) -> Batch:
    """One run in an event loop of its own."""
    return anyio.run(lambda: job.run(**options))


def test_a_job_killed_before_any_item_ends_as_if_undisturbed() -> None:
    """For each size and each `every`, at each point: same end, few repeats, nothing skipped."""
    for every in (1, 2, 3, 5, 8):
        for kill_at in range(13):
            job = Job(range(12), failing={0, 5, 11})
            try:
                job.run_blocking(kill_at=kill_at, every=every, lag=9)
            except Killed:
                batch = job.run_blocking(every=every)
            else:
                assert kill_at == 12
                continue
            same_as_undisturbed(job, batch, 12, {0, 5, 11})
            assert len(job.calls) - 12 <= every


async def test_an_async_job_killed_before_any_item_ends_as_if_undisturbed() -> None:
    """The fast loop keeps the same promise."""
    for every in (1, 2, 5):
        for kill_at in range(12):
            job = Job(range(12), failing={0, 5, 11})
            with pytest.raises(Killed):
                await job.run(kill_at=kill_at, every=every, lag=9)
            same_as_undisturbed(job, await job.run(every=every), 12, {0, 5, 11})
            assert len(job.calls) - 12 <= every


async def test_a_stopped_job_repeats_nothing() -> None:
    """Stop after each number of items, with each concurrency: what was begun is finished and kept."""
    for concurrency in (1, 3):
        for stop_at in range(1, 9):
            job = Job(range(9), failing={4})
            try:
                batch = await job.run(stop_at=stop_at, every=4, lag=9, concurrency=concurrency)
            except Stopped:
                batch = await job.run(every=4, concurrency=concurrency)
            same_as_undisturbed(job, batch, 9, {4})
            assert len(job.calls) == 9


async def test_a_job_that_finishes_its_last_item_after_a_stop_has_finished() -> None:
    """A late success is a success."""
    job = Job(range(3))
    assert (await job.run(stop_at=3)).done == 3


@settings(max_examples=60, deadline=None)
@given(
    items=st.integers(0, 40),
    every=st.integers(1, 12),
    kills=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(0, 3)), max_size=4),
    failing=st.sets(st.integers(0, 39), max_size=8),
)
def test_any_series_of_kills_is_survived_with_any_concurrency(
    items: int, every: int, kills: list[tuple[int, int, int]], failing: set[int]
) -> None:
    """Each kill repeats fewer than every + concurrency items, and the end is that of an undisturbed pass."""
    failing = {item for item in failing if item < items}
    job = Job(range(items), failing)
    allowed = items
    for kill_at, concurrency, lag in kills:
        try:
            run(job, kill_at=kill_at, every=every, lag=lag, concurrency=concurrency)
        except Killed:
            allowed += every + concurrency - 1
        assert len(job.calls) <= allowed
    batch = run(job, every=every, concurrency=2)
    same_as_undisturbed(job, batch, items, failing)
    assert len(job.calls) <= allowed


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_failed_items_alone_are_run_again(concurrency: int) -> None:
    """What succeeds now is taken off the record and counted by its new label."""
    job = Job(range(20), failing={3, 7, 12})
    await job.run()
    job.failing, job.calls = {7}, []
    batch = await job.run(only_failed=True, concurrency=concurrency)
    assert sorted(job.calls) == [3, 7, 12]
    assert batch.tallies == {"even": 10, "odd": 9, "failed": 1}
    assert list(job.records.failed) == [("0", "7")]
    assert job.records.failed["0", "7"].run == 2
    assert batch.done == job.records.done == 20


async def test_a_killed_pass_over_failed_items_goes_on_with_the_rest() -> None:
    """Each resolved key is committed with its tallies."""
    failing = set(range(0, 30, 3))
    for kill_at in range(len(failing)):
        job = Job(range(30), failing)
        await job.run()
        job.failing, job.calls = set(), []
        with pytest.raises(Killed):
            await job.run(only_failed=True, kill_at=kill_at, every=4, lag=9)
        batch = await job.run(only_failed=True, every=4)
        assert batch.tallies == {"even": 15, "odd": 15}
        assert job.records.failed == {}
        assert set(job.calls) == failing
        assert len(job.calls) - len(failing) <= 4


async def test_a_second_pass_over_a_finished_batch_runs_nothing() -> None:
    """Its tallies come from the checkpoint."""
    job = Job(range(5), failing={1})
    first = await job.run()
    assert await job.run() == first
    assert len(job.calls) == 5
    job.failing = set()
    await job.run(only_failed=True)
    assert len(job.calls) == 6
    assert (await job.run(only_failed=True)).tallies == {"even": 3, "odd": 2}
    assert len(job.calls) == 6


def test_the_window_is_bounded_by_what_is_durable() -> None:
    """Without a durable checkpoint at most `every` items are finished or in work."""
    for concurrency in (1, 2, 5):
        job = Job(range(50))
        seen: list[int] = []
        gauge(job, seen)
        run(job, every=6, lag=100, concurrency=concurrency)
        assert max(seen) <= 6


def gauge(job: Job, seen: list[int]) -> None:
    """Note, at each start of an item, how many are finished or in work and not durable."""
    make: Callable[..., Callable[[Any], str]] = job.body

    def body(*at: int | None) -> Callable[[Any], str]:
        one = make(*at)

        def noting(item: Any) -> str:
            label = one(item)
            seen.append(job.started - job.records.done)
            return label

        return noting

    job.body = body  # type: ignore[method-assign]


def test_few_checkpoints_are_sent_for_many_items() -> None:
    """One for each half of `every`, and one at the end."""
    job = Job(range(1000))
    run(job, every=100)
    assert job.records.seq <= math.ceil(1000 / 50) + 1
