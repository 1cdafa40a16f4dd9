"""Slots that do not answer a daemon that comes back: stopped, frozen, or on a host that is overloaded."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.launcher import Launcher
from jobkeepd.spawner import record

from .conftest import holders, put_down
from .orders import order, shell

pytestmark = pytest.mark.anyio
PATIENCE = 60


@pytest.fixture
def no_nudge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped shim stands for one that nothing can make answer."""
    monkeypatch.setattr("jobkeepd.runner.identity.wake", lambda lock, audit: None)
    monkeypatch.setattr("jobkeepd.runner.finding.ANSWER_WITHIN", 0.2)


def stop(pid: int) -> None:
    """SIGSTOP, and wait until it has come to pass: the signal alone is only on its way."""
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)


def locks(runtime: Path) -> list[str]:
    return [str(path) for path in runtime.glob("slots/*.lock")]


def stop_slot(runtime: Path) -> int:
    """The only one; who has its lock."""
    (lock,) = locks(runtime)
    return stop_holder(lock)


def stop_holder(lock: str) -> int:
    """A shim that is looked at may be handing its run over to its warden, which is to be stopped then."""
    shim = None
    while shim is None or record.lock_holder(lock) != shim:
        shim = record.lock_holder(lock)
        if shim is not None:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                stop(shim)
    return shim


async def stopped(runtime: Path, *argv: str) -> tuple[str, int]:
    """A run whose shim is stopped, and whose daemon is gone: its name and the shim."""
    async with Launcher(runtime) as first:
        it = order(runtime, *argv)
        await (await first.open()).start(it)
        shim = stop_slot(runtime)
    return it.run, shim


async def test_a_stopped_shim_goes_on_and_answers(runtime: Path) -> None:
    """Its run is adopted from it, and it writes the exit."""
    async with Launcher(runtime) as first:
        it = shell(runtime, f"while [ ! -e {runtime}/go ]; do sleep 0.01; done; exit 11")
        await (await first.open()).start(it)
        stop_slot(runtime)

    async with Launcher(runtime) as second:
        (found,) = await second.find()
        assert (found.run, found.silent, found.execution is not None) == (it.run, False, True)
        (runtime / "go").touch()
        assert found.execution is not None
        with anyio.fail_after(PATIENCE):
            exit = await found.execution.exited()
        assert exit is not None
        assert (exit.status, exit.writer) == (11 << 8, "shim")


async def test_a_stopped_spawner_goes_on(runtime: Path) -> None:
    """A daemon that starts does not wait for it."""
    async with Launcher(runtime):
        (spawner,) = holders(runtime, "spawner.lock")
        stop(spawner)
    with anyio.fail_after(PATIENCE):
        async with Launcher(runtime) as second:
            assert second.spawner_pid == spawner


async def test_a_silent_slot_is_taken_over_by_its_record_and_not_put_down(runtime: Path, no_nudge: None) -> None:
    """What it is to be told waits for it; then it is the shim that ends the run, and writes how."""
    run, shim = await stopped(runtime, "sleep", "600")
    async with Launcher(runtime) as second:
        (found,) = await second.find()
        assert (found.run, found.silent, found.exit) == (run, True, None)
        assert found.execution is not None
        async with anyio.create_task_group() as group:
            group.start_soon(found.execution.end)
            await anyio.wait_all_tasks_blocked()
            os.kill(shim, signal.SIGCONT)
        with anyio.fail_after(PATIENCE):
            exit = await found.execution.exited()
            await found.execution.drained()
        assert exit is not None
        assert (exit.status, exit.writer) == (signal.SIGKILL, "shim")


async def test_a_silent_slot_that_dies_leaves_its_run_to_the_spawner(runtime: Path, no_nudge: None) -> None:
    """Which ends it, and writes how."""
    run, shim = await stopped(runtime, "sleep", "600")
    async with Launcher(runtime) as second:
        (found,) = await second.find()
        put_down(shim)
        assert found.execution is not None
        with anyio.fail_after(PATIENCE):
            await found.execution.end()
            exit = await found.execution.exited()
        assert exit is not None
        assert (exit.status, exit.writer) == (signal.SIGKILL, "spawner")


async def test_an_end_that_a_silent_slot_has_recorded_is_known(runtime: Path, no_nudge: None) -> None:
    """The leader ended before the shim fell silent."""
    async with Launcher(runtime) as first:
        it = order(runtime, "sh", "-c", "exit 3")
        await (await (await first.open()).start(it)).drained()
        shim = stop_slot(runtime)
    async with Launcher(runtime) as second:
        found = {each.run: each for each in await second.find()}
        assert found[it.run].exit is not None
        assert found[it.run].exit.status == 3 << 8
        assert found[None].silent
        os.kill(shim, signal.SIGCONT)


async def test_what_a_silent_slot_has_been_sent_is_known_once_it_answers(runtime: Path, no_nudge: None) -> None:
    """A start that it has never read is gone for good; one whose slot died without a trace never ran."""
    async with Launcher(runtime) as first:
        slot = await first.open()
        shim = stop_slot(runtime)
        with anyio.move_on_after(0.1):
            await slot.start(order(runtime, "touch", str(runtime / "ran")))
    async with Launcher(runtime) as second:
        (found,) = await second.find()
        assert (found.silent, found.run) == (True, None)
        answers: list[FoundSlot] = []
        async with anyio.create_task_group() as group:

            async def look() -> None:
                answers.append(await second.look_again(found, "job.unread"))

            group.start_soon(look)
            await anyio.sleep(0.05)
            assert answers == []
            os.kill(shim, signal.SIGCONT)
        assert [(each.name, each.run, each.silent) for each in answers] == [(slot.name, None, False)]
        assert answers[0].slot is not None
        put_down(shim)
        again = FoundSlot(found.name, found.slot, None, None, None, silent=True)
        with anyio.fail_after(PATIENCE):
            while (await second.look_again(again, "job.unread")).slot is not None:
                await anyio.sleep(0.01)
    assert not (runtime / "ran").exists()


async def test_many_silent_slots_cost_no_more_time_than_one(
    runtime: Path, no_nudge: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One deadline for all of them."""
    monkeypatch.setattr("jobkeepd.runner.finding.ANSWER_WITHIN", 1.0)
    async with Launcher(runtime) as first:
        runs = [order(runtime, "sleep", "600") for _ in range(20)]
        for it in runs:
            await (await first.open()).start(it)
        for lock in locks(runtime):
            stop_holder(lock)
    async with Launcher(runtime) as second:
        began = anyio.current_time()
        found = await second.find()
        assert anyio.current_time() - began < 20 * 1.0
        assert {each.run for each in found if each.silent} == {it.run for it in runs}


async def test_a_record_that_nobody_can_read_stands_in_nobodys_way(runtime: Path) -> None:
    """Its run is known to have begun, and nothing else is; the others are found."""
    async with Launcher(runtime) as first:
        it = order(runtime, "sleep", "600")
        await (await first.open()).start(it)
    oddities = (b"", b"[]\n", b'{"op":"exit"}\n', b'{"op":"leader","leader":[1]}\n', b"\xff\n{\n")
    for number, garbage in enumerate(oddities):
        (runtime / "runs" / f"odd.{number}.{record.RUN}").write_bytes(garbage)
    async with Launcher(runtime) as second:
        found = {each.run: each for each in await second.find()}
    for path in (runtime / "runs").glob("odd.*"):
        path.unlink()
    assert len(found) == 6
    assert found[it.run].execution is not None
    odd = [each for run, each in found.items() if run != it.run]
    assert [(each.slot, each.execution, each.exit) for each in odd] == [(None, None, None)] * 5
