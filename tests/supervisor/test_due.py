"""Jobs that wait for their start no longer than they want to, in virtual time."""

from __future__ import annotations

import itertools

import anyio
import pytest

from jobkeepd.supervisor.dispatcher import Dispatcher
from jobkeepd.supervisor.places import LASTING

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio


async def test_a_job_that_does_not_get_its_turn_fails_in_time(stage: Stage) -> None:
    """It never runs, and the others go on as if it had not been there."""
    stage.runner.duration = 100.0
    first, second, third = await stage.submit(3, queue="single")
    (hasty,) = await stage.submit(queue="single", queue_timeout_s=30.0, priority=-1)
    failed = await stage.until(hasty, "failed")
    assert 30.0 <= anyio.current_time() < 31.0
    assert (failed.run, failed.reason) == (None, "timed out in the queue after 30 s")
    for job in (first, second, third):
        await stage.until(job, "succeeded")
    assert stage.runner.started == [first, second, third]


async def test_a_job_that_is_claimed_behind_a_busy_seat_is_taken_back(stage: Stage) -> None:
    """Its start was not sent, and is not going to be."""
    stage.runner.duration = 100.0
    (first,) = await stage.submit(queue="single")
    (hasty,) = await stage.submit(queue="single", queue_timeout_s=1.25)
    await anyio.sleep(1)
    claimed = await stage.store.get(hasty)
    assert claimed.run is not None
    assert claimed.run.state == "starting"
    failed = await stage.until(hasty, "failed")
    assert 1.25 <= anyio.current_time() < LASTING
    assert failed.run is None
    await stage.until(first, "succeeded")
    assert stage.runner.started == [first]


async def test_a_job_that_waits_for_a_lock_fails_in_time_too(stage: Stage) -> None:
    """Whoever holds it."""
    stage.runner.duration = 100.0
    (first,) = await stage.submit(lock="crm")
    await stage.until(first, "running")
    (hasty,) = await stage.submit(lock="crm", queue_timeout_s=30.0)
    failed = await stage.until(hasty, "failed")
    assert failed.reason == "timed out in the queue after 30 s: it waited for its lock crm"
    (lock,) = await stage.store.locks()
    assert lock.token == 1


async def test_a_job_that_is_started_in_time_may_take_its_time(stage: Stage) -> None:
    """Also when it is restarted, and waits again."""
    stage.runner.duration = 20.0
    await stage.submit(queue="single")
    (patient,) = await stage.submit(queue="single", queue_timeout_s=30.0)
    await stage.until(patient, "running")
    stage.runner.duration = 100.0
    await stage.supervisor.restart(patient, ME, from_start=False, reason=None)
    await anyio.sleep(50)
    assert (await stage.until(patient, "succeeded", "failed")).state == "succeeded"


async def test_a_resumed_job_waits_as_long_as_a_new_one(stage: Stage) -> None:
    """Somebody wants it again."""
    stage.runner.duration = 100.0
    await stage.submit(queue="single")
    (job,) = await stage.submit(queue="single", queue_timeout_s=30.0)
    await stage.until(job, "failed")
    await stage.supervisor.resume(job, ME, failed_items=False, reason=None)
    began = anyio.current_time()
    await stage.until(job, "failed")
    assert 30.0 <= anyio.current_time() - began < 31.0


async def test_a_delayed_job_starts_when_it_is_due(stage: Stage) -> None:
    """Not before, and not much later; one that needs no waiting is not kept by it."""
    (late,) = await stage.submit(delay_s=45.0)
    (prompt,) = await stage.submit()
    assert (await stage.store.get(late)).state == "scheduled"
    await stage.until(prompt, "succeeded")
    await stage.until(late, "running")
    assert 45.0 <= anyio.current_time() < 46.0
    assert stage.runner.started == [prompt, late]


async def test_a_wait_that_is_next_to_nothing_is_no_busy_loop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a time may be less than a clock can tell, so that it would never be over."""
    looks = itertools.count()

    def recall(_: Dispatcher) -> float:
        assert next(looks) < 5000, "it looks again and again"
        return 1e-12

    monkeypatch.setattr(Dispatcher, "_recall", recall)
    stage.supervisor.dispatcher.poke()
    await anyio.sleep(1)
    (job,) = await stage.submit()
    await stage.until(job, "succeeded")
