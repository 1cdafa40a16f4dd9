"""Sessions that die in somebody's hands, in virtual time."""

from __future__ import annotations

import anyio
import pytest

from jobkeepd.core.model import Job
from jobkeepd.errors import LeaseLost
from supervisor.conftest import Stage
from supervisor.session_scene import ALICE, BOB, Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return Scene(stage)


async def test_whoever_uses_it_when_it_dies_has_lost_it_and_is_told_so_at_once(scene: Scene) -> None:
    """What it has left is cleaned, though nobody opens it again; the journal says why."""
    job = await scene.open()
    lock = await scene.stage.store.lock("session:browser")
    assert lock is not None
    told: list[tuple[float, str]] = []

    async def use() -> None:
        with pytest.raises(LeaseLost) as lost:
            await scene.stage.supervisor.locks.renew(lock.name, lock.token, 100.0, ALICE)
        told.append((anyio.current_time(), str(lost.value)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use)
        await anyio.sleep(5)
        scene.die(job)
        died_at = anyio.current_time()
    ((at, said),) = told
    assert at - died_at < 1.0
    assert said.endswith("the process of the session has ended")
    await anyio.sleep(5)
    view = await scene.sessions.view("browser")
    assert (view.state, view.lock, scene.orphans.cleaned) == ("dead", None, [job.id])
    (noted,) = [entry for entry in await scene.stage.store.history(job.id) if entry.kind == "session_dead"]
    assert noted.data["reason"] == "its process has ended while somebody had it"


async def test_who_waits_for_one_that_dies_in_other_hands_has_the_next_process(scene: Scene) -> None:
    """Which its last user does not: a token that only rises tells them apart."""
    first = await scene.open()
    opened: list[Job] = []

    async def wait() -> None:
        opened.append(await scene.open("lease-b", BOB, wait=60.0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(5)
        scene.die(first)
    assert opened[0].id != first.id
    lock = await scene.stage.store.lock("session:browser")
    assert lock is not None
    assert (lock.token, scene.stage.runner.peak) == (2, 1)


async def test_one_that_died_while_no_daemon_was_there_is_lost_as_well(scene: Scene) -> None:
    """And one that lives is watched on."""
    job = await scene.open()
    after = Scene(scene.stage).sessions  # of the next daemon
    await after.recover_once()
    await anyio.sleep(5)
    assert await scene.stage.store.locks() != []
    scene.die(job)
    await scene.stage.until(job.id, "succeeded", "failed")
    await anyio.sleep(1)
    assert await scene.stage.store.locks() == []


async def test_a_later_user_does_not_lose_what_an_earlier_one_gave_back(scene: Scene) -> None:
    """The process of an earlier hold is of no interest any more."""
    first = await scene.open()
    await scene.give_back()
    scene.die(first)
    await scene.stage.until(first.id, "succeeded", "failed")
    await scene.open("lease-b", BOB)
    await anyio.sleep(30)
    assert await scene.state() == "in_use"
