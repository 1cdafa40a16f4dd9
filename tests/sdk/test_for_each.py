"""Sources, keys, labels and limits of a batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import anyio
import pytest

from jobkeep.errors import InputChanged, TooLarge, TooManyFailures
from jobkeep.sdk import BlockingJobContext, Cursor, JobContext
from jobkeep.testing.memory import MemoryPort, Records

from .jobs import Job, Killed

pytestmark = pytest.mark.anyio


def context(records: Records, every: int = 5) -> JobContext:
    return JobContext(records.order(every=every), MemoryPort(records))


async def stream(items: range) -> AsyncIterator[int]:
    for item in items:
        await anyio.lowlevel.checkpoint()
        yield item


class AsyncSource:
    """Can be gone through again and again."""

    def __init__(self, items: range) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[int]:
        return stream(self._items)


class Again:
    """An iterable that is no sequence."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(9))


def seek(at: Cursor) -> Iterator[int]:
    return iter(range(at.count, 9))


def seek_async(at: Cursor) -> AsyncIterator[int]:
    return stream(range(at.count, 9))


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    "source", [range(9), list(range(9)), Again(), AsyncSource(range(9)), seek, seek_async]
)
async def test_every_kind_of_source_can_be_resumed(source: Any, concurrency: int) -> None:
    """Iterables are gone through again, callables are told where to begin."""
    job = Job(source, failing={2})
    with pytest.raises(Killed):
        await job.run(kill_at=6, every=2, concurrency=concurrency)
    batch = await job.run(every=2, concurrency=concurrency)
    assert batch.tallies == {"even": 4, "odd": 4, "failed": 1}
    assert set(job.calls) == set(range(9))
    assert len(job.calls) < 9 + 2 + concurrency


async def test_plain_bodies_do_as_well() -> None:
    """A body need not be a coroutine function, and None means done."""
    batch = await context(Records()).for_each(range(3), lambda item: None)
    assert batch.tallies == {"done": 3}


async def test_a_plain_function_cannot_go_through_an_async_source() -> None:
    """It is told to become async."""
    records = Records()
    blocking = BlockingJobContext(records.order(), MemoryPort(records))
    with pytest.raises(TypeError, match="make the function async"):
        blocking.for_each(stream(range(3)), lambda item: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_source_with_another_key_at_the_checkpoint_is_refused(concurrency: int) -> None:
    """And the checkpoint is kept."""
    job = Job(["1", "2", "3", "4", "5", "6"])
    with pytest.raises(Killed):
        await job.run(kill_at=4, every=2, key=str, concurrency=concurrency)
    kept = job.records.cursor
    job.items = ["1", "9", "8", "7", "5", "6"]
    with pytest.raises(InputChanged, match="is now"):
        await job.run(key=str, concurrency=concurrency)
    assert job.records.cursor == kept


async def test_a_source_that_has_become_too_short_is_refused() -> None:
    """The message says how many items there are."""
    for items in (range(2), AsyncSource(range(2))):
        job = Job(range(9))
        with pytest.raises(Killed):
            await job.run(kill_at=6, every=2)
        job.items = items  # type: ignore[assignment]
        with pytest.raises(InputChanged, match="has only 2"):
            await job.run()


async def test_failed_items_that_are_gone_from_the_source_stay_on_record() -> None:
    """It is an error only if none of them is there any more."""
    job = Job([str(n) for n in range(9)], failing={"2", "5"})
    await job.run(key=str)
    job.items, job.failing = ["1", "2"], set()
    assert (await job.run(key=str, only_failed=True)).failed_items == 1
    assert job.records.newest is not None
    assert job.records.newest.note == "1 failed items are gone from the source"
    with pytest.raises(InputChanged, match="'5'"):
        await job.run(key=str, only_failed=True)
    assert list(job.records.failed) == [("0", "5")]


async def test_more_failures_than_allowed_end_the_batch() -> None:
    """What happened until then is kept; the next run has a fresh budget."""
    for concurrency in (1, 3):
        job = Job(range(9), failing=range(0, 9, 2))
        with pytest.raises(TooManyFailures) as caught:
            await job.run(max_failures=1, concurrency=concurrency)
        assert caught.value.failed == 2
        assert job.records.tallies["failed"] == len(job.records.failed) == 2
        assert (await job.run(max_failures=3)).failed_items == 5
    blocking = Job(range(9), failing=range(9))
    with pytest.raises(TooManyFailures) as one:
        blocking.run_blocking(max_failures=0)
    assert blocking.records.tallies == {"failed": 1}
    assert str(one.value) == "1 item of the batch failed, and at most 0 may (max_failures)"


async def test_items_with_the_same_key_are_kept_apart_when_they_fail() -> None:
    """The later one gets its ordinal, also when the first one failed in an earlier run."""
    job = Job(["1", "1", "2", "1"], failing={"1"})
    with pytest.raises(Killed):
        await job.run(kill_at=2, key=str, every=1)
    await job.run(key=str, every=1)
    assert set(job.records.failed) == {("0", "1"), ("0", "1#1"), ("0", "1#3")}
    job.failing = set()
    assert (await job.run(key=str, only_failed=True)).tallies == {"odd": 3, "even": 1}
    assert job.records.failed == {}


async def test_a_failed_item_has_its_error_and_place() -> None:
    """Type, message, the job's own traceback and the ordinal."""
    job = Job(range(4), failing={2})
    await job.run()
    [item] = job.records.failed.values()
    assert (item.ordinal, item.run, item.error.type, item.error.message) == (2, 1, "ValueError", "no 2")
    assert item.error.traceback is not None
    assert "jobs.py" in item.error.traceback
    assert "foreach.py" not in item.error.traceback


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("label", ["two words", "", "x" * 129, 7, [], "failed"])
async def test_a_body_that_returns_no_label_fails_the_job(label: Any, concurrency: int) -> None:
    """The error names the batch and what came back."""
    with pytest.raises(TypeError, match="failed" if label == "failed" else "no label"):
        await context(Records()).for_each(range(3), lambda item: label, concurrency=concurrency)


async def test_keys_are_bounded_scalars() -> None:
    """Numbers become text; anything else is refused."""
    ctx = context(Records())
    await ctx.for_each([1, 2], lambda item: None, key=lambda item: item / 2)
    with pytest.raises(TypeError, match="key of item 0"):
        await ctx.for_each([1, 2], lambda item: None, key=lambda item: [item])
    with pytest.raises(ValueError, match="1024"):
        await ctx.for_each([1, 2], lambda item: None, key=lambda item: "k" * 1025)


async def test_a_cursor_over_its_limit_names_it() -> None:
    """Thousands of labels do not fit."""
    with pytest.raises(TooLarge, match="65536"):
        await context(Records()).for_each(range(9000), lambda item: f"label-{item}", every=9000)


async def test_batches_are_numbered_and_counted_together() -> None:
    """Totals are those of the job; a name is used once."""
    records = Records()
    ctx = context(records)
    await ctx.for_each(range(3), lambda item: "a")
    await ctx.for_each(range(4), lambda item: "b" if item else "a", batch="named")
    await ctx.for_each(iter(range(2)), lambda item: "c", total=2)
    assert records.tallies == {"a": 4, "b": 3, "c": 2}
    assert records.newest is not None
    assert (records.newest.done, records.newest.total) == (9, 9)
    assert list(records.cursor["batches"]) == ["0", "named", "1"]
    with pytest.raises(ValueError, match="already"):
        await ctx.for_each(range(3), lambda item: "a", batch="named")


async def test_several_batches_at_once_share_the_checkpoints() -> None:
    """Each finds its own place again."""
    records = Records()
    for killed in (True, False):
        port = MemoryPort(records)
        ctx = JobContext(records.order(), port)

        async def body(item: int, port: MemoryPort = port, killed: bool = killed) -> None:
            await anyio.lowlevel.checkpoint()
            if killed and item == 7:
                port.dead = True
                raise Killed

        try:
            async with anyio.create_task_group() as group:
                for name in ("a", "b"):
                    group.start_soon(partial(ctx.for_each, range(9), body, batch=name))
        except BaseExceptionGroup:
            assert killed
    assert records.tallies == {"done": 18}


@pytest.mark.parametrize("options", [{"every": 0}, {"concurrency": 0}, {"batch": "no name"}])
async def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """Before the first item."""
    with pytest.raises(ValueError, match="at least 1|no name"):
        await context(Records()).for_each([1], lambda item: None, **options)


async def test_an_error_of_the_source_keeps_what_was_done() -> None:
    """It fails the job, and the next run goes on from there."""

    def broken() -> Iterator[int]:
        yield from range(4)
        raise OSError("disk on fire")

    for concurrency in (1, 2):
        records = Records()
        with pytest.raises(OSError, match="fire"):
            await context(records).for_each(broken(), lambda item: None, concurrency=concurrency)
        assert records.done == 4
