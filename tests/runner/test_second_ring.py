"""Runs whose shim, spawner or daemon is killed: they go on, and nothing is invented about their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from jobkeepd.runner import identity
from jobkeepd.runner.launcher import Launcher
from jobkeepd.spawner import record

from .conftest import holders, put_down, put_down_slots
from .orders import Signpost, order, shell

pytestmark = pytest.mark.anyio


@pytest.fixture
def post(runtime: Path) -> Iterator[Signpost]:
    post = Signpost(runtime / "post")
    yield post
    post.close()


@pytest.fixture
def go(runtime: Path) -> Path:
    """A leader that reads this goes on once something is written."""
    os.mkfifo(runtime / "go")
    return runtime / "go"


def let_go(go: Path, word: str = "") -> None:
    go.write_text(f"{word}\n")


async def test_a_daemon_that_comes_back_finds_the_run_and_its_exit(runtime: Path, go: Path) -> None:
    """The first daemon goes away in mid-run; the second one is told how the run ends, by the shim."""
    async with Launcher(runtime) as first:
        it = shell(runtime, f"read -r word < {go}; echo $word; exit 5")
        leader = (await (await first.open()).start(it)).leader

    async with Launcher(runtime) as second:
        found = (await second.find())[0]
        assert (found.run, found.exit) == (it.run, None)
        assert found.execution is not None
        assert found.execution.leader == leader
        let_go(go, "late")
        with anyio.fail_after(60):
            exit = await found.execution.exited()
            await found.execution.drained()
        assert exit is not None
        assert (exit.status, exit.writer) == (5 << 8, "shim")
        assert (runtime / "output").read_text() == "late\n"
        assert second.spawner_pid == first.spawner_pid


async def test_an_exit_that_nobody_saw_is_found_on_record(runtime: Path, go: Path, post: Signpost) -> None:
    """The run ends while no daemon is there."""
    async with Launcher(runtime) as first:
        it = shell(runtime, f"exec 9>{post.path}; echo >&9; read -r _ < {go}; exit 6")
        execution = await (await first.open()).start(it)
        await post.reached()
        pidfd = identity.open_same(execution.leader)
        assert pidfd is not None
    let_go(go)
    await anyio.wait_readable(pidfd)
    os.close(pidfd)

    async with Launcher(runtime) as second:
        found = (await second.find())[0]
        exit = await found.execution.exited() if found.execution else found.exit
        assert exit is not None
        assert exit.status == 6 << 8
        second.forget(it.run)
        assert list((runtime / "runs").iterdir()) == []


async def test_a_start_that_failed_unheard_is_found(runtime: Path) -> None:
    """Why a run never started is on record, too."""
    async with Launcher(runtime) as first:
        slot = await first.open()
        with pytest.raises(Exception, match="command not found"):
            await slot.start(order(runtime, "frobnicate"))

    async with Launcher(runtime) as second:
        found = (await second.find())[0]
    assert (found.name, found.execution, found.exit) == (slot.name, None, None)
    assert str(found.failed) == "command not found: frobnicate"


async def test_a_killed_shim_costs_nothing_but_the_slot(runtime: Path, launcher: Launcher, go: Path) -> None:
    """The spawner waits for the leader in its place, and records the true exit."""
    slot = await launcher.open()
    execution = await slot.start(shell(runtime, f"read -r _ < {go}; exit 37"))
    put_down_slots(runtime)
    let_go(go)

    with anyio.fail_after(60):
        exit = await execution.exited()
        await execution.drained()

    assert exit is not None
    assert (exit.status, exit.writer) == (37 << 8, "spawner")
    assert not slot.alive
    assert list((runtime / "slots").iterdir()) == []


async def test_what_a_killed_shim_leaves_can_still_be_ended(runtime: Path, launcher: Launcher, post: Signpost) -> None:
    """Signals go through the spawner then; the escaped descendants end with the leader."""
    script = f"exec 9>{post.path}; (env -i setsid sh -c 'trap \"\" TERM; echo >&9; while :; do sleep 600; done' &)"
    execution = await (await launcher.open()).start(shell(runtime, f"{script}; sleep 600", grace=0.1))
    await post.reached()
    put_down_slots(runtime)

    with anyio.fail_after(60):
        await execution.signal(signal.SIGTERM)
        exit = await execution.exited()
        await execution.drained()

    assert exit is not None
    assert exit.status == signal.SIGTERM
    await post.deserted()


async def test_a_run_of_a_killed_shim_is_found_after_a_restart(runtime: Path, go: Path) -> None:
    """A new daemon follows it through the spawner."""
    async with Launcher(runtime) as first:
        await (await first.open()).start(shell(runtime, f"read -r _ < {go}; exit 8"))
    put_down_slots(runtime)

    async with Launcher(runtime) as second:
        found = (await second.find())[0]
        assert found.slot is None
        assert found.execution is not None
        let_go(go)
        with anyio.fail_after(60):
            exit = await found.execution.exited()
        assert exit is not None
        assert exit.status == 8 << 8


async def test_a_killed_spawner_is_replaced_and_its_slots_go_on(runtime: Path, launcher: Launcher, go: Path) -> None:
    """Runs do not notice; new slots come from a new spawner."""
    slot = await launcher.open()
    execution = await slot.start(shell(runtime, f"read -r _ < {go}; exit 9"))
    before = launcher.spawner_pid
    put_down(*holders(runtime, "spawner.lock"))

    other = await launcher.open()
    await (await other.start(order(runtime, "true"))).drained()
    let_go(go)
    exit = await execution.exited()

    assert exit is not None
    assert (exit.status, exit.writer) == (9 << 8, "shim")
    assert slot.alive
    assert launcher.spawner_pid != before


async def test_an_end_that_nobody_could_see_is_not_invented(runtime: Path, launcher: Launcher) -> None:
    """Shim and spawner are killed, and then the leader: there is no exit, unless the kernel itself still tells."""
    execution = await (await launcher.open()).start(order(runtime, "sleep", "600"))
    put_down_slots(runtime)
    put_down(*holders(runtime, "spawner.lock"))
    await execution.signal(signal.SIGKILL)

    with anyio.fail_after(60):
        exit = await execution.exited()
        await execution.drained()

    assert exit is None or (exit.status, exit.writer) == (signal.SIGKILL, "pidfd")


async def test_a_leader_that_died_with_its_parents_is_lost(runtime: Path) -> None:
    """All three are gone when the daemon comes back: the run is on record as begun, and nothing else is."""
    async with Launcher(runtime) as first:
        it = order(runtime, "sleep", "600")
        leader = (await (await first.open()).start(it)).leader
        put_down(*holders(runtime, "spawner.lock"))
        put_down_slots(runtime)
        put_down(leader.pid)

    async with Launcher(runtime) as second:
        found = (await second.find())[0]
    assert (found.run, found.slot, found.execution, found.exit) == (it.run, None, None, None)


async def test_a_connection_that_breaks_is_made_again(runtime: Path, launcher: Launcher, go: Path) -> None:
    """Another connection to the slot closes the daemon's; the run's end still arrives."""
    slot = await launcher.open()
    execution = await slot.start(shell(runtime, f"read -r _ < {go}; exit 4"))
    async with await anyio.connect_unix(record.slot_socket(str(runtime), slot.name)):
        let_go(go)
        with anyio.fail_after(60):
            exit = await execution.exited()

    assert exit is not None
    assert exit.status == 4 << 8
    assert slot.alive
