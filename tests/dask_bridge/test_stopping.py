"""When a bridge takes a run for ended, with and without a connection to its scheduler: in virtual time."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_bridge.stand_in import LAB, Scheduler, Task, install, place
from dask_bridge.stand_in_daemon import Daemon
from dask_bridge.virtual import now, virtually
from jobkeep.dask_bridge.messages import Ended, Fence, Go, Lives, Stop
from jobkeep.worker.ending import Ending

ONE = "tcp://one:1"
LATEST = LAB.lost_after * 1.1 + 2.0
MOMENTS = pytest.mark.parametrize("after", [0.0, 3.0, 29.9])  # seconds in which it tries to connect


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    """One that is not there, which its clients find out after half a minute."""
    scheduler = Scheduler(ONE)
    scheduler.silent_s = 30.0
    install(monkeypatch, {LAB.address: scheduler})
    return scheduler


@MOMENTS
@pytest.mark.parametrize("reason", ["cancelled", "timeout", "drain"])
def test_a_run_that_is_to_stop_before_its_bridge_is_connected_ends_at_once(
    reason: str, after: float, silent: Scheduler
) -> None:
    """It has begun nowhere: nothing needs any grace."""

    async def story() -> None:
        silent.leave()
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        await asyncio.sleep(after)
        asked = now()
        daemon.run.ask_to_stop(reason, asked)
        assert (await carrying).reason == reason
        assert now() - asked < 0.1
        assert not silent.submitted

    virtually(story)


def test_a_later_run_looks_for_the_task_of_an_earlier_one_for_as_long_as_it_has_grace(silent: Scheduler) -> None:
    """That may go on there. Afterwards, which is when the daemon sends SIGTERM, it ends with its lease."""

    async def story() -> None:
        silent.leave()
        daemon = Daemon(run="j/2", number=2)
        carrying = asyncio.ensure_future(daemon.carry())
        await asyncio.sleep(3.0)
        daemon.run.ask_to_stop("cancelled", now())
        await asyncio.sleep(10.0)
        assert not carrying.done()
        forced = now()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await carrying).outcome == "cancelled"
        assert now() - forced < 0.1

    virtually(story)


async def begun(scheduler: Scheduler, daemon: Daemon) -> asyncio.Future[Ending]:
    """The task has begun, and its scheduler is away since."""
    carrying = asyncio.ensure_future(daemon.carry())
    task = await scheduler.taken(ONE)
    await task.hears(Go)
    scheduler.leave()
    await asyncio.sleep(5.0)
    assert not carrying.done()
    return carrying


def test_a_cancelled_run_whose_scheduler_is_away_ends_once_its_grace_is_over(silent: Scheduler) -> None:
    """However long it takes to find out that nobody answers."""

    async def story() -> None:
        daemon = Daemon()
        carrying = await begun(silent, daemon)
        daemon.run.ask_to_stop("cancelled", now())
        await asyncio.sleep(10.0)
        assert not carrying.done()
        forced = now()
        os.kill(os.getpid(), signal.SIGTERM)
        await carrying
        assert now() - forced < 1.0

    virtually(story)


def test_a_run_whose_scheduler_stays_away_is_lost_when_its_lease_is_over(silent: Scheduler) -> None:
    """However long it takes to find out that nobody answers."""

    async def story() -> None:
        carrying = await begun(silent, Daemon())
        left = now() - 5.0
        ending = await carrying
        assert ending.reason == "lost: the scheduler of dask:lab at tcp://lab:8786 has been away for 60 s"
        assert LATEST - 2.0 <= now() - left <= LATEST + 1.0

    virtually(story)


async def living(scheduler: Scheduler) -> Task:
    """The task has begun, and gives signs of life for a while."""
    task = await scheduler.taken(ONE)
    await task.hears(Go)
    for _ in range(3):
        task.say(Lives(place(ONE)))
        await asyncio.sleep(2.0)
    return task


def test_a_worker_whose_host_refuses_whoever_knocks_is_gone_when_its_lease_is_over_and_not_before(
    silent: Scheduler,
) -> None:
    """A firewall does so, and who translates addresses: the function may go on all the same."""

    async def story() -> None:
        silent.firewall = True
        carrying = asyncio.ensure_future(Daemon().carry())
        await living(silent)
        closed = now()
        silent.close(ONE)
        await carrying
        assert now() - closed > LAB.lost_after

    virtually(story)


@pytest.mark.parametrize("fate", ["its worker dies", "its scheduler stays away"])
def test_a_run_that_is_lost_during_a_drain_is_lost_all_the_same(fate: str, silent: Scheduler) -> None:
    """It has come to no checkpoint of which it would go on: the job's policy decides."""

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        task = await living(silent)
        daemon.run.ask_to_stop("drain", now())
        await task.hears(Stop)
        if fate == "its worker dies":
            silent.kill(ONE)
        else:
            silent.leave()
        assert ((await carrying).reason or "").startswith("lost: ")

    virtually(story)


def test_a_function_that_goes_on_while_its_worker_ends_is_not_lost_before_its_process_has_ended(
    silent: Scheduler,
) -> None:
    """Or it would run twice. It is told at once that it may not go on."""

    async def story() -> None:
        carrying = asyncio.ensure_future(Daemon().carry())
        task = await living(silent)
        closed = now()
        silent.close(ONE)
        assert await task.hears(Fence) - closed < 1.0
        await asyncio.sleep(20.0)
        assert not carrying.done()
        ended = now()
        silent.kill(ONE)
        assert (await carrying).reason == f"lost: the Dask worker {ONE} died"
        assert now() - ended < 0.5
        assert not silent.restarted

    virtually(story)


@pytest.mark.parametrize("drained", [False, True])
def test_a_bridge_that_somebody_else_terminates_dies_and_leaves_its_task_alone(
    drained: bool, silent: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a host does that is shut down, whose daemon may have been drained: the next bridge takes it over."""
    died: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", died.append)

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        task = await living(silent)
        if drained:
            daemon.run.ask_to_stop("drain", now())
            await task.hears(Stop)
        os.kill(os.getpid(), signal.SIGTERM)
        while not died:
            assert not carrying.done()
            await asyncio.sleep(0.1)
        assert died == [signal.SIGTERM]
        assert {type(said) for _, said in task.heard()} == ({Go, Stop} if drained else {Go})
        carrying.cancel()
        await asyncio.wait([carrying])

    virtually(story)


@pytest.mark.parametrize("first", ["word", "signal"])
def test_a_function_that_ends_when_it_is_told_so_costs_no_other_task_its_worker(
    first: str, silent: Scheduler
) -> None:
    """Cancelled by force: the daemon's word and its signal arrive at the same time."""

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        task = await living(silent)
        forced = now()
        if first == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.05)
        daemon.run.ask_to_stop("cancelled", now())
        if first == "word":
            os.kill(os.getpid(), signal.SIGTERM)
        assert await task.hears(Fence) - forced < 0.1
        await asyncio.sleep(0.5)
        assert not carrying.done()
        task.end(Ended(start="first", outcome="interrupted", reason="lease lost"))
        assert (await carrying).outcome == "cancelled"
        assert now() - forced < 1.0
        assert not silent.restarted

    virtually(story)


@pytest.mark.parametrize("number", [1, 2])
def test_a_run_that_is_cancelled_by_force_ends_when_the_process_has_and_not_with_its_worker(
    number: int, silent: Scheduler
) -> None:
    """Also by a bridge that has only found the task: it is in the log where that is."""

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        task = await living(silent)
        if number == 2:
            carrying.cancel()
            await asyncio.wait([carrying])
            daemon = Daemon(run="j/2", number=2)
            carrying = asyncio.ensure_future(daemon.carry())
            await asyncio.sleep(0.5)
        daemon.run.ask_to_stop("cancelled", now())
        await asyncio.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(2.5)  # in which it ends by itself, unless it cannot
        assert not silent.restarted
        await asyncio.sleep(1.0)
        assert silent.restarted == [ONE]
        assert not carrying.done()
        ended = now()
        silent.kill(ONE)
        assert (await carrying).outcome == "cancelled"
        assert now() - ended < 0.5
        late = Task(silent, task.name, "tcp://two:2", "second")  # Dask starts it again, though it is cancelled
        assert isinstance(late.may(), Fence)

    virtually(story)


def test_a_task_that_was_stopped_for_an_earlier_bridge_has_ended_before_another_one_is_submitted(
    silent: Scheduler,
) -> None:
    """Its process ends first: where that is says the log."""

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        task = await living(silent)
        daemon.run.ask_to_stop("cancelled", now())
        await task.hears(Stop)
        carrying.cancel()
        await asyncio.wait([carrying])
        carrying = asyncio.ensure_future(Daemon(run="j/2", number=2).carry())
        await asyncio.sleep(3.5)
        assert silent.restarted == [ONE]
        assert len(silent.submitted) == 1
        silent.kill(ONE)
        await asyncio.sleep(0.5)
        assert len(silent.submitted) == 2
        carrying.cancel()
        await asyncio.wait([carrying])

    virtually(story)
