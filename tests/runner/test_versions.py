"""Slots and spawners of another version: followed to the end of what they run, and given nothing new."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from jobkeepd.errors import RunnerError, StartFailed
from jobkeepd.runner import spawner_link, versions
from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.launcher import Launcher
from jobkeepd.spawner import record

from .conftest import put_down, put_down_slots, wait_for_death
from .orders import Signpost, order, shell

pytestmark = pytest.mark.anyio
Change = Callable[[], None]
ESCAPED = "(env -i setsid sh -c 'trap \"\" TERM; echo >&9; while :; do sleep 600; done' &)"


@pytest.fixture
def post(runtime: Path) -> Iterator[Signpost]:
    post = Signpost(runtime / "post")
    yield post
    post.close()


@pytest.fixture(params=[1, -1], ids=["upgrade", "downgrade"])
def change(request: pytest.FixtureRequest, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """From now on, the daemon and what is on disk are of another version."""
    protocol = record.PROTOCOL + request.param

    def change() -> None:
        monkeypatch.setattr(versions, "SLOTS", range(protocol, protocol + 1))
        monkeypatch.setattr(spawner_link, "_SCRIPT", str(code_of(runtime, protocol)))

    return change


def code_of(runtime: Path, protocol: int) -> Path:
    """The spawner as another version would have it."""
    folder = runtime / f"code{protocol}"
    folder.mkdir()
    for path in Path(record.__file__).parent.glob("*.py"):
        text = path.read_text().replace(f"\nPROTOCOL = {record.PROTOCOL}\n", f"\nPROTOCOL = {protocol}\n")
        (folder / path.name).write_text(text)
    return folder / "spawner.py"


async def only_one(launcher: Launcher) -> FoundSlot:
    (found,) = await launcher.find()
    return found


async def test_a_run_of_another_version_is_followed_and_nothing_else_is_started_there(
    runtime: Path, change: Change, post: Signpost
) -> None:
    """It is adopted with its exit; its slot takes no other run, and with it goes the spawner that made it."""
    async with Launcher(runtime) as first:
        await (await first.open()).start(shell(runtime, f"exec 9>{post.path}; echo >&9; exec sleep 600"))
        await post.reached()
        assert first.spawner_pid is not None
        spawner = os.pidfd_open(first.spawner_pid)
    change()
    async with Launcher(runtime) as second:
        found = await only_one(second)
        assert found.slot is not None
        assert found.execution is not None
        assert not found.slot.takes_runs
        with pytest.raises(StartFailed, match="speaks protocol"):
            await found.slot.start(order(runtime, "true"))

        await found.execution.signal(signal.SIGTERM)
        with anyio.fail_after(60):
            exit = await found.execution.exited()
            await found.execution.drained()
        assert exit is not None
        assert (exit.status, exit.writer) == (signal.SIGTERM, "shim")
        await found.slot.retire()
        wait_for_death(spawner)

        fresh = await second.open()
        assert fresh.takes_runs
        await (await fresh.start(order(runtime, "true"))).drained()
        assert not elders_in(runtime)


async def test_what_a_killed_shim_of_another_version_leaves_is_ended_and_waited_for(
    runtime: Path, change: Change, post: Signpost
) -> None:
    """The spawner that made way has it, and is asked: the run is over when nothing of it is left, and not before."""
    async with Launcher(runtime) as first:
        script = f"exec 9>{post.path}; {ESCAPED}; sleep 600"
        await (await first.open()).start(shell(runtime, script, grace=0.5))
        await post.reached()
    change()
    async with Launcher(runtime) as second:
        found = await only_one(second)
        assert found.execution is not None
        put_down_slots(runtime)
        with anyio.fail_after(60):
            await found.execution.signal(signal.SIGTERM)
            exit = await found.execution.exited()
            await found.execution.drained()
        assert exit is not None
        assert (exit.status, exit.writer) == (signal.SIGTERM, "spawner")
        assert is_deserted(post)


async def test_a_killed_shim_of_another_version_is_found_by_the_daemon_after_next(
    runtime: Path, change: Change, post: Signpost
) -> None:
    """It knows the spawner that made way only by its socket."""
    async with Launcher(runtime) as first:
        script = f"exec 9>{post.path}; {ESCAPED}; sleep 600"
        await (await first.open()).start(shell(runtime, script, grace=0.5))
        await post.reached()
    change()
    async with Launcher(runtime):
        pass
    put_down_slots(runtime)
    async with Launcher(runtime) as third:
        found = await only_one(third)
        assert found.slot is None
        assert found.execution is not None
        with anyio.fail_after(60):
            await found.execution.end()
            await found.execution.drained()
        assert is_deserted(post)


def elders_in(runtime: Path) -> list[Path]:
    """The sockets of spawners that made way."""
    return list(runtime.glob("spawner.*.socket"))


def is_deserted(post: Signpost) -> bool:
    """At this moment."""
    poll = select.poll()
    poll.register(post.fileno(), select.POLLIN)
    return [event for _, event in poll.poll(0)] == [select.POLLHUP]


async def test_a_dead_spawner_that_made_way_is_not_waited_for(runtime: Path, change: Change) -> None:
    """With it and the shim killed nobody can tell the exit but the kernel, if it does; the leader is still ended."""
    async with Launcher(runtime) as first:
        await (await first.open()).start(order(runtime, "sleep", "600"))
        elder = first.spawner_pid
    change()
    async with Launcher(runtime) as second:
        found = await only_one(second)
        assert found.execution is not None
        assert elder is not None
        put_down(elder)
        put_down_slots(runtime)
        with anyio.fail_after(60):
            await found.execution.end()
            exit = await found.execution.exited()
            await found.execution.drained()
        assert exit is None or exit.writer == "pidfd"


async def test_a_daemon_whose_code_was_replaced_says_so(
    runtime: Path, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot start a spawner any more: what is on disk is not of its version."""
    change()
    monkeypatch.setattr(versions, "SLOTS", range(record.PROTOCOL, record.PROTOCOL + 1))
    with pytest.raises(RunnerError, match="jobkeep was upgraded while it ran; restart the daemon"):
        async with Launcher(runtime):
            pass
