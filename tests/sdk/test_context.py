"""State, progress, sleep and the request to stop."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from jobkeep.errors import Stopped, TooLarge
from jobkeep.sdk import BlockingJobContext, JobContext
from jobkeep.sdk.ledger import Ledger
from jobkeep.testing.memory import MemoryPort, Records

pytestmark = pytest.mark.anyio


async def test_a_checkpointed_state_is_restored_in_the_next_run() -> None:
    """As the JSON value that it was."""
    records = Records()
    first = JobContext(records.order(), MemoryPort(records, lag=5))
    assert first.restored is None
    await first.checkpoint({"page": 7})
    assert JobContext(records.order(), MemoryPort(records)).restored == {"page": 7}
    blocking = BlockingJobContext(records.order(), MemoryPort(records))
    assert blocking.restored == {"page": 7}
    blocking.checkpoint([1])
    assert (records.seq, records.runs) == (2, 3)


async def test_a_batch_keeps_the_state() -> None:
    """Checkpoints of for_each carry it along."""
    records = Records()
    ctx = JobContext(records.order(), MemoryPort(records))
    await ctx.checkpoint("mine")
    await ctx.for_each(range(3), lambda item: None)
    assert JobContext(records.order(), MemoryPort(records)).restored == "mine"


async def test_a_state_over_its_limit_names_it() -> None:
    """Nothing is sent."""
    records = Records()
    with pytest.raises(TooLarge, match="65536"):
        await JobContext(records.order(), MemoryPort(records)).checkpoint("x" * 65536)
    assert records.seq == 0


async def test_progress_goes_out_as_one_showable_line() -> None:
    """Control characters would reach terminals."""
    records = Records()
    port = MemoryPort(records)
    ctx = JobContext(records.order(), port)
    await ctx.progress(3, 10, "two\nlines\x1b[31m\ud800" + "x" * 2000)
    [sent] = port.progress
    assert (sent.done, sent.total, sent.tallies) == (3, 10, None)
    assert sent.note is not None
    assert sent.note.startswith("two lines [31m x")
    assert len(sent.note) == 1024
    with pytest.raises(ValueError, match="negative"):
        await ctx.progress(-1)


async def test_every_call_of_a_stopped_job_raises_stopped() -> None:
    """The checkpoint that was asked for is sent all the same."""
    records = Records()
    port = MemoryPort(records)
    ctx, blocking = JobContext(records.order(), port), BlockingJobContext(records.order(), port)
    port.stop("restart")
    with pytest.raises(Stopped, match="restart"):
        await ctx.sleep(3600)
    with pytest.raises(Stopped):
        await ctx.progress(1)
    with pytest.raises(Stopped):
        await ctx.checkpoint(1)
    assert records.seq == 1
    for call in (lambda: blocking.sleep(3600), lambda: blocking.progress(1), lambda: blocking.checkpoint(2)):
        with pytest.raises(Stopped):
            call()
    assert records.seq == 2


async def test_a_sleeping_job_wakes_at_a_stop() -> None:
    """Long before its time."""
    records = Records()
    port = MemoryPort(records)
    ctx = JobContext(records.order(), port)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:

            async def sleeper() -> None:
                with pytest.raises(Stopped):
                    await ctx.sleep(3600)

            group.start_soon(sleeper)
            await anyio.wait_all_tasks_blocked()
            assert port.attentive
            port.stop("cancelled")
    assert not port.attentive


async def test_a_job_that_looks_at_the_stop_reason_is_trusted() -> None:
    """The port learns that it need not be cancelled at once."""
    records = Records()
    port = MemoryPort(records)
    ctx = JobContext(records.order(), port)
    assert not port.attentive
    assert ctx.stop_reason is None
    assert port.attentive


async def test_a_finished_item_is_sent_within_a_second_however_long_the_next_one_takes() -> None:
    """Also progress is told before that, at most four times a second."""
    records = Records()
    port = MemoryPort(records)
    sent: anyio.Event = anyio.Event()
    port.on_checkpoint = lambda content: sent.set()

    async def body(item: int) -> None:
        if item == 1:
            await sent.wait()

    began = anyio.current_time()
    with anyio.fail_after(60):
        await JobContext(records.order(every=100), port).for_each(range(2), body, every=100)
    assert 1 <= len(port.progress) <= 1 + 4 * (anyio.current_time() - began)
    assert port.progress[0].done == 1


def test_slow_items_of_a_plain_function_are_sent_one_by_one() -> None:
    """With a clock that moves two seconds per item."""
    records = Records()
    port = MemoryPort(records)
    blocking = BlockingJobContext(records.order(), port)
    now = [0.0]
    blocking._ledger = Ledger(records.order(), port, lambda: now[0])
    done: list[Any] = []

    def body(item: int) -> None:
        now[0] += 2
        done.append(records.done)

    blocking.for_each(range(4), body, every=100)
    assert done == [0, 1, 2, 3]
