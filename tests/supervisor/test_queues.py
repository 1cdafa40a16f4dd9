"""Queues that are paused, resumed and limited while jobs run and wait."""

from __future__ import annotations

import anyio
import pytest

from jobkeepd.core.queueing import Order
from jobkeepd.errors import UnknownQueue
from jobkeepd.supervisor.queues import Queue
from jobkeepd.supervisor.window import SIZE
from supervisor.conftest import ME, Stage

pytestmark = pytest.mark.anyio


async def control(stage: Stage, queue: str, order: Order, limit: int | None = None) -> Queue:
    return await stage.supervisor.queues.control(queue, order, ME, limit=limit, reason="test")


async def test_of_a_paused_queue_nothing_starts_and_what_runs_goes_on(stage: Stage) -> None:
    """What was claimed ahead is taken back; other queues are not concerned; resumed, all of it runs, each once."""
    jobs = await stage.submit(6)
    await stage.until(jobs[0], "running")
    await anyio.sleep(0.5)  # the next two have their claims by now
    assert await control(stage, "default", "pause") == stage.supervisor.queues.get("default")
    (other,) = await stage.submit(queue="single")
    await stage.supervisor.wait([*jobs[:2], other], any=False, timeout=100)
    await anyio.sleep(50)
    assert sorted(stage.runner.started) == sorted([*jobs[:2], other])
    waiting = [await stage.store.get(job) for job in jobs[2:]]
    assert [(job.state, job.run) for job in waiting] == [("queued", None)] * 4

    await control(stage, "default", "resume")
    await stage.supervisor.wait(jobs, any=False, timeout=100)
    assert sorted(stage.runner.started) == sorted([*jobs, other])


async def test_a_lower_limit_holds_once_what_ran_has_ended(stage: Stage) -> None:
    """Nobody follows on a seat that is one too many."""
    await control(stage, "default", "limit", 4)
    jobs = await stage.submit(12)
    await stage.until(jobs[3], "running")
    await control(stage, "default", "limit", 1)
    most = 0
    await stage.supervisor.wait(jobs[:4], any=False, timeout=100)
    with anyio.fail_after(500):
        while (await stage.store.counts()).get(("default", "succeeded"), 0) < len(jobs):
            most = max(most, (await stage.store.counts()).get(("default", "running"), 0))
            await anyio.sleep(0.1)
    assert most == 1
    assert len(stage.runner.started) == len(jobs)


async def test_a_higher_limit_is_used_at_once(stage: Stage) -> None:
    """Without a new submit."""
    jobs = await stage.submit(3, queue="single")
    await stage.until(jobs[0], "running")
    await control(stage, "single", "limit", 3)
    await stage.until(jobs[2], "running")
    assert (await stage.store.counts())["single", "running"] == 3


async def test_what_was_said_counts_for_the_next_daemon(stage: Stage) -> None:
    """A queue nobody spoke of is as configured; an unknown one is an error that lists the known ones."""
    await control(stage, "default", "pause")
    await control(stage, "single", "limit", 5)
    lanes = stage.supervisor.dispatcher.lanes
    for lane in lanes.values():
        lane.control = type(lane.control)(name=lane.name)
    await stage.supervisor.queues.recover_once()
    assert (lanes["default"].is_paused, lanes["default"].limit) == (True, 2)
    assert (lanes["single"].is_paused, lanes["single"].limit) == (False, 5)
    with pytest.raises(UnknownQueue) as unknown:
        await control(stage, "nowhere", "pause")
    assert unknown.value.known == ["default", "sessions", "single"]


async def test_a_label_runs_one_at_a_time_across_queues_and_keeps_nobody_else(stage: Stage) -> None:
    """Those of another value run meanwhile, on the places that are left."""
    stage.supervisor.dispatcher.lanes["default"].configured = 4
    stage.workshop.label_limits["client"] = 1  # type: ignore[index]
    acme = await stage.submit(5, labels={"client": "acme"})
    acme += await stage.submit(5, labels={"client": "acme"}, queue="single")
    others = [id for name in "xyz" for id in await stage.submit(2, labels={"client": name})]
    most, together = 0, 0
    with anyio.fail_after(500):
        while {state for _, state in await stage.store.counts()} != {"succeeded"}:
            running = [job for job in [*acme, *others] if stage.runner.live[job]]
            most = max(most, sum(job in acme for job in running))
            together = max(together, len(running))
            await anyio.sleep(0.05)
    assert most == 1
    assert together >= 3
    assert sorted(stage.runner.started) == sorted([*acme, *others])


async def test_one_job_of_a_client_is_next_behind_all_those_of_another(stage: Stage) -> None:
    """More than a window holds; the first ones were on their way already."""
    many = await stage.submit(3 * SIZE, labels={"client": "a"}, queue="single")
    await stage.until(many[0], "running")
    (one,) = await stage.submit(labels={"client": "b"}, queue="single")
    await stage.until(one, "succeeded")
    assert len(stage.runner.started) <= 5
    assert stage.runner.started.index(one) <= 3
