"""Where a drain takes a job: only where a later run can go on, and never in the middle of an item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from jobkeep.errors import Stopped
from jobkeep.sdk import BlockingJobContext, JobContext
from jobkeep.testing.memory import MemoryPort, Records

pytestmark = pytest.mark.anyio


def contexts(records: Records) -> tuple[MemoryPort, JobContext, BlockingJobContext]:
    port = MemoryPort(records)
    order = records.order()
    return port, JobContext(order, port), BlockingJobContext(order, port)


async def test_a_checkpoint_is_where_a_drain_takes_a_job_and_progress_is_not() -> None:
    """What was done since the last checkpoint is in the new one."""
    records = Records()
    port, ctx, blocking = contexts(records)
    port.stop("drain")
    await ctx.progress(1)
    blocking.progress(1)
    with pytest.raises(Stopped, match="drain"):
        await ctx.checkpoint("one")
    with pytest.raises(Stopped, match="drain"):
        blocking.checkpoint("two")
    assert bytes(records.order().state) == b'"two"'


async def test_a_drain_wakes_a_sleeping_job_that_has_a_checkpoint_and_no_other() -> None:
    """Without one the next run would begin anew, and do again what was done."""
    records = Records()
    port, ctx, blocking = contexts(records)
    port.stop("drain")
    await ctx.sleep(0.01)
    blocking.sleep(0.01)
    port.stop_reason = None
    await ctx.checkpoint(1)
    async with anyio.create_task_group() as group:
        group.start_soon(_sleeps_until_stopped, ctx)
        await anyio.wait_all_tasks_blocked()
        port.stop("drain")
    with pytest.raises(Stopped, match="drain"):
        blocking.sleep(3600)


async def _sleeps_until_stopped(ctx: JobContext) -> None:
    with anyio.fail_after(60), pytest.raises(Stopped, match="drain"):
        await ctx.sleep(3600)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_an_item_in_work_is_finished_and_the_next_one_is_not_begun(concurrency: int) -> None:
    """Whatever it calls meanwhile; then all that is finished is durable."""
    records = Records()
    port, ctx, _ = contexts(records)
    begun: list[int] = []

    async def body(item: int) -> str:
        begun.append(item)
        if item == 3:
            port.stop("drain")
        await ctx.sleep(0.001)
        await ctx.checkpoint({"item": item})
        await ctx.progress(note="almost")
        return "done"

    with pytest.raises(Stopped, match="drain"):
        await ctx.for_each(range(100), body, concurrency=concurrency, every=10)
    assert len(begun) <= 3 + concurrency
    assert records.tallies == {"done": len(begun)}
    assert (await JobContext(records.order(), MemoryPort(records)).for_each(range(100), lambda item: None)).done == 100


def test_an_item_of_a_plain_function_is_finished_too() -> None:
    """And its sleep within an item goes on to its end."""
    records = Records()
    port, _, blocking = contexts(records)
    begun: list[int] = []

    def body(item: int) -> str:
        begun.append(item)
        if item == 3:
            port.stop("drain")
        blocking.sleep(0.001)
        blocking.checkpoint(item)
        return "done"

    with pytest.raises(Stopped, match="drain"):
        blocking.for_each(range(100), body)
    assert (begun, records.tallies) == ([0, 1, 2, 3], {"done": 4})


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_source_that_is_waited_for_does_not_hold_up_a_stop(concurrency: int) -> None:
    """It may have no next item for hours; it is closed, and what is finished is durable."""
    records = Records()
    port, ctx, _ = contexts(records)
    closed: list[bool] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 0
            yield 1
            port.stop("drain")
            await anyio.sleep(3600)
        finally:
            closed.append(True)

    with anyio.fail_after(60), pytest.raises(Stopped, match="drain"):
        await ctx.for_each(source(), lambda item: None, concurrency=concurrency)
    assert (records.tallies, closed) == ({"done": 2}, [True])


def test_the_sleep_of_a_plain_functions_source_ends_with_a_drain() -> None:
    """No item is in work then; what is finished is kept."""
    records = Records()
    port, _, blocking = contexts(records)

    def source() -> Iterator[Any]:
        yield from range(2)
        port.stop("drain")
        blocking.sleep(3600)
        raise AssertionError("it went on")

    with pytest.raises(Stopped, match="drain"):
        blocking.for_each(source(), lambda item: None)
    assert records.tallies == {"done": 2}
