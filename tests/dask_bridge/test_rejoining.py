"""What a bridge makes of the log when it comes to a task again, or for the first time: in virtual time."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from msgspec import Raw

from dask_bridge.stand_in import LAB, Scheduler, Task, install, place
from dask_bridge.stand_in_daemon import Daemon
from dask_bridge.virtual import virtually
from jobkeep.dask_bridge import outlet
from jobkeep.dask_bridge.messages import Advances, Checkpoints, Ended, Go, Lives, Writes
from jobkeep.protocol.worker import CheckpointParameters, ProgressParameters
from jobkeep.worker.ending import Ending

ONE = "tcp://one:1"


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    there = Scheduler(ONE)
    install(monkeypatch, {LAB.address: there})
    return there


async def lives(task: Task) -> None:
    for _ in range(3):
        task.say(Lives(place(ONE)))
        await asyncio.sleep(2.0)


def reports(task: Task) -> None:
    task.say(Writes(1, "printed once\n"))
    task.say(Advances(ProgressParameters("j.1", 1, 7, 10, "halfway")))
    saved = {"cursor": Raw(b"7"), "state": Raw(b"0"), "done": 7, "note": "halfway"}
    task.say(Checkpoints(CheckpointParameters(run="j.1", fence=1, seq=1, **saved)))


@pytest.mark.parametrize("next_bridge", [False, True])
def test_what_the_daemon_has_is_not_said_again_and_what_it_may_not_have_is(
    next_bridge: bool, scheduler: Scheduler, capfd: pytest.CaptureFixture[str]
) -> None:
    """Output is in the log of the run once, though the scheduler's log has it still. A checkpoint has its number."""

    async def story() -> None:
        first = last = Daemon()
        carrying = asyncio.ensure_future(first.carry())
        task = await scheduler.taken(ONE)
        await task.hears(Go)
        reports(task)
        await lives(task)
        if next_bridge:
            carrying.cancel()
            await asyncio.wait([carrying])
            last = Daemon(run="j/2", number=2)
            carrying = asyncio.ensure_future(last.carry())
        else:
            scheduler.leave()
            await asyncio.sleep(5.0)
            scheduler.come_back()
        await lives(task)
        task.say(Writes(1, "and this\n"))
        task.end(Ended(start="first", result=Raw(b"1")))
        assert await carrying == Ending("succeeded", Raw(b"1"))
        assert [each.seq for each in first.saved] == [1] if next_bridge else [1, 1]
        assert [each.seq for each in last.saved][-1:] == [1]
        assert [each.note for each in first.progress_made if each.done].count("halfway") == 1 + (not next_bridge)

    virtually(story)
    assert capfd.readouterr().out == "printed once\nand this\n"


def test_output_that_finds_no_room_on_the_disk_is_no_loss_of_the_scheduler(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on, over the same connection."""

    def full(to: int, text: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outlet, "os", SimpleNamespace(write=full))

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        task = await scheduler.taken(ONE)
        await lives(task)
        clients = list(scheduler.clients)
        task.say(Writes(1, "lost\n"))
        await lives(task)
        assert scheduler.clients == clients
        assert "the scheduler of dask:lab is away" not in daemon.notes()
        task.end(Ended(start="first", result=Raw(b"1")))
        assert await carrying == Ending("succeeded", Raw(b"1"))

    virtually(story)


def test_people_are_told_that_a_run_waits_only_for_as_long_as_it_does(scheduler: Scheduler) -> None:
    """Then they see again what the function has said last, which may be nothing."""

    async def story() -> None:
        daemon = Daemon()
        carrying = asyncio.ensure_future(daemon.carry())
        await asyncio.sleep(5.0)
        task = await scheduler.taken(ONE)
        await lives(task)
        assert daemon.notes() == ["waits for a worker of the cluster", None]
        task.say(Advances(ProgressParameters("j.1", 1, 7, 10, "halfway")))
        await asyncio.sleep(1.0)
        scheduler.leave()
        await asyncio.sleep(5.0)
        scheduler.come_back()
        await lives(task)
        assert daemon.notes()[2:] == ["halfway", "the scheduler of dask:lab is away", "halfway"]
        assert daemon.progress_made[-1].done == 7
        task.end(Ended(start="first", result=Raw(b"1")))
        await carrying

    virtually(story)
