"""What a user's own tests can do with a job, without a daemon."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from jobkeep import BlockingJobContext, InputChanged, JobContext, StepsChanged, Stopped
from jobkeep.testing import BlockingFakeContext, FakeContext, Rehearsal


async def leads(ctx: JobContext, count: int, every: int = 4, concurrency: int = 1) -> dict[str, int]:
    async def one(item: int) -> str:
        await ctx.sleep(60)
        if item % 5 == 0:
            raise ValueError(f"{item} is bad")
        return "added"

    return (await ctx.for_each(range(count), one, key=str, every=every, concurrency=concurrency)).tallies


def folder(ctx: BlockingJobContext, count: int) -> int:
    done = ctx.restored["done"] if ctx.restored else 0
    while done < count:
        done += 1
        ctx.checkpoint({"done": done})
    return done


def steps(ctx: BlockingJobContext, names: list[str]) -> list[str]:
    return [ctx.step(name, name.upper) for name in names]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_batch_that_is_stopped_and_killed_ends_as_if_undisturbed(concurrency: int) -> None:
    """A stop repeats what it has found asleep, and a kill what it may."""
    job = Rehearsal(leads, count=30, concurrency=concurrency)
    job.stop_after(7)
    assert 7 <= job.done <= len(job.items) < 7 + concurrency
    stopped = job.done
    job.kill_after(6)
    assert stopped <= job.done <= stopped + 6
    assert job.run() == {"added": 24, "failed": 6} == job.tallies
    assert job.failed == ["0", "5", "10", "15", "20", "25"]
    again = Counter(job.items)
    assert set(again) == set(range(30))
    assert 0 < len(job.items) - 30 <= 4 + 2 * (concurrency - 1)


def test_a_kill_loses_all_that_may_be_lost() -> None:
    """A job whose test passes with that has nothing left to fear."""
    job = Rehearsal(leads, count=10, every=4)
    job.kill_after(3)
    assert job.done == 0
    job.kill_after(4)  # the fifth item waited for the oldest checkpoint in transit, and for no other
    assert job.done == 2


def test_failed_items_are_run_alone() -> None:
    """As `resume --failed-items` does."""
    job = Rehearsal(leads, count=11)
    job.run()
    del job.items[:]
    assert job.run(failed_items=True) == {"added": 8, "failed": 3}
    assert job.items == [0, 5, 10]


def test_a_plain_function_goes_on_from_its_own_checkpoint() -> None:
    """Each checkpoint counts as an item."""
    job = Rehearsal(folder, count=5)
    job.stop_after(2)
    job.kill_after(1)
    assert job.run() == 5


def test_steps_are_kept_and_a_changed_order_is_seen() -> None:
    """The arguments of a Rehearsal stay those of its job; another job begins with nothing."""
    names = ["a", "b", "c"]
    job = Rehearsal(steps, names=names)
    job.kill_after(2)
    assert job.steps == ["a", "b"]
    names.reverse()
    with pytest.raises(StepsChanged, match="was 'a'"):
        job.run()
    names.reverse()
    assert job.run() == ["A", "B", "C"]


def test_a_source_that_has_changed_is_seen() -> None:
    """The test of a job finds it out before its users do."""
    items = ["x", "y", "z"]

    def batch(ctx: BlockingJobContext) -> None:
        ctx.for_each(items, lambda item: None, key=str)

    job = Rehearsal(batch)
    job.stop_after(2)
    items.insert(0, "w")
    with pytest.raises(InputChanged):
        job.run()


@pytest.mark.parametrize("verb", ["stop_after", "kill_after"])
def test_a_job_that_cannot_be_interrupted_there_says_so(verb: str) -> None:
    """A test must not pass because it stopped nothing."""
    with pytest.raises(AssertionError, match="came to its end, after 3 items"):
        getattr(Rehearsal(leads, count=3), verb)(9)


def test_what_the_daemon_would_refuse_is_refused() -> None:
    """Arguments and results are JSON."""
    with pytest.raises(TypeError, match="arguments"):
        Rehearsal(folder, count=object())

    def bad(ctx: BlockingJobContext) -> object:
        return object()

    with pytest.raises(TypeError, match="the result cannot be JSON"):
        Rehearsal(bad).run()


def test_a_fake_context_runs_a_function_once_and_tells_what_it_has_said() -> None:
    """Nothing waits; a later context goes on from the same records."""

    async def story() -> None:
        ctx = FakeContext()
        assert await leads(ctx, 3) == {"added": 2, "failed": 1}
        assert (ctx.records.done, ctx.slept) == (3, 180.0)
        await ctx.progress(note="well")
        assert ctx.port.progress[-1].note == "well"
        await ctx.checkpoint({"page": 4})
        later = FakeContext(ctx.records)
        assert (later.restored, later.run_number) == ({"page": 4}, 2)
        later.stop()
        with pytest.raises(Stopped):
            await later.sleep(1)

    anyio.run(story)
    blocking = BlockingFakeContext()
    blocking.sleep(3600)
    child: Any = blocking.spawn(["true"])
    assert child.wait() == 0
