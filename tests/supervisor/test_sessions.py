"""Sessions in virtual time: opened, shared out, lost, replaced, closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from jobkeepd.core.model import Peer
from jobkeepd.errors import LeaseLost, SessionFailed, SessionInUse, UnknownSession
from supervisor.conftest import ME, Stage
from supervisor.session_scene import ALICE, BOB, DAEMON, Scene

pytestmark = pytest.mark.anyio
@pytest.fixture
def scene(stage: Stage) -> Scene:
    return Scene(stage)


async def test_the_first_open_starts_it_and_waits_until_it_is_ready(scene: Scene) -> None:
    """The next one gets the same process, checked again."""
    before = anyio.current_time()
    job = await scene.open()
    assert 2.0 <= anyio.current_time() - before <= 4.0
    assert (await scene.state(), job.spec.command, job.owner) == ("in_use", ["driver"], DAEMON.uid)
    await scene.give_back()
    assert await scene.state() == "ready"
    asked = len(scene.probes.asked)
    assert (await scene.open("lease-b", BOB)).id == job.id
    assert (scene.starts, len(scene.probes.asked)) == ([job.id], asked + 1)
    assert scene.probes.asked[-1].env["JOBKEEP_SESSION_PID"] == str(scene.stage.runner.leaders[job.id])


async def test_twenty_who_open_it_at_once_are_one_start_and_have_it_one_after_the_other(scene: Scene) -> None:
    """Never two of them together."""
    inside: list[int] = []
    served: list[int] = []

    async def use(number: int) -> None:
        peer = Peer(1000, 1000, 600 + number)
        await scene.open(f"lease-{number:04d}", peer, wait=600.0)
        inside.append(number)
        assert inside == [number]
        await anyio.sleep(1.0)
        inside.remove(number)
        served.append(number)
        await scene.give_back(peer)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(use, number)
    assert (len(served), len(scene.starts)) == (20, 1)


async def test_while_it_is_in_use_others_are_told_by_whom(scene: Scene) -> None:
    """At once, or when they have waited for as long as they wanted to."""
    await scene.open()
    with pytest.raises(SessionInUse) as told:
        await scene.open("lease-b", BOB)
    assert told.value.lock.holder.identity.pid == ALICE.pid
    before = anyio.current_time()
    with pytest.raises(SessionInUse):
        await scene.open("lease-b", BOB, wait=30.0)
    assert 30.0 <= anyio.current_time() - before <= 31.0


async def test_a_client_that_crashes_gives_it_back_at_once(scene: Scene) -> None:
    """The session itself lives on, and is the next one's."""
    job = await scene.open()
    scene.stage.processes.die(ALICE.pid)
    before = anyio.current_time()
    assert (await scene.open("lease-b", BOB, wait=60.0)).id == job.id
    assert anyio.current_time() - before < 1.0


async def test_a_dead_one_is_replaced_and_what_it_has_left_is_cleaned(scene: Scene) -> None:
    """Whoever opens it notices a delay alone."""
    first = await scene.open()
    await scene.give_back()
    scene.die(first)
    await scene.stage.until(first.id, "succeeded", "failed")
    assert await scene.state() == "dead"
    second = await scene.open("lease-b")
    assert (second.id != first.id, scene.orphans.cleaned) == (True, [first.id])
    assert await scene.state() == "in_use"


async def test_what_is_left_of_a_dead_one_is_gone_before_the_next_is_started(scene: Scene) -> None:
    """Its leader is dead, its tree takes a while."""
    first = await scene.open()
    await scene.give_back()
    scene.stage.processes.die(scene.stage.runner.leaders[first.id])
    assert await scene.state() == "dead"

    async def drain() -> None:
        await anyio.sleep(7.0)
        assert scene.starts == [first.id]
        scene.seat(first).finish()

    scene.stage.group.start_soon(drain)
    second = await scene.open("lease-b")
    assert scene.starts == [first.id, second.id]
    assert scene.stage.runner.peak == 1


async def test_one_that_is_sick_is_ended_and_replaced(scene: Scene) -> None:
    """After the second check in a row that it has failed; the journal says why."""
    first = await scene.open()
    await scene.give_back()
    scene.probes.sick[first.id] = "status 500"
    second = await scene.open("lease-b")
    assert second.id != first.id
    ended = await scene.stage.store.get(first.id)
    assert ended.state == "cancelled"
    (asked,) = [entry for entry in await scene.stage.store.history(first.id) if entry.kind == "cancel_requested"]
    assert (asked.by, asked.data["reason"]) == (None, "it is not healthy: status 500")
    assert [entry.data["reason"] for entry in await scene.stage.store.history(first.id) if entry.kind == "session_dead"]


async def test_a_check_that_hangs_costs_its_timeout_and_no_more(stage: Stage) -> None:
    """The session is replaced once; then whoever opens it is told, in bounded time."""
    scene = Scene(stage, health_timeout=5.0, start_timeout=30.0)
    await scene.open()
    await scene.give_back()
    scene.probes.takes = 1e9
    before = anyio.current_time()
    with pytest.raises(SessionFailed, match="did not become ready within 30 s: no answer within 5 s"):
        await scene.open("lease-b")
    assert anyio.current_time() - before < 60.0
    assert (len(scene.starts), sum(stage.runner.live.values())) == (2, 0)
    assert await scene.state() == "dead"


async def test_a_command_that_ends_at_once_is_told_with_its_last_words(scene: Scene) -> None:
    """It is started once, and the lease is free again."""
    scene.stage.runner.duration = 0.1
    with pytest.raises(SessionFailed) as told:
        await scene.open()
    assert told.value.reason == "it ended before it was ready: exit code 0; its last line: bind: address in use"
    assert told.value.job == scene.starts[0]
    assert len(scene.starts) == 1
    assert await scene.stage.store.locks() == []


async def test_a_failing_start_is_one_failure_for_all_who_wait_for_it(scene: Scene) -> None:
    """Not one start for each of them; who comes later tries anew."""
    scene.probes.ready_after = 1e9
    told: list[str] = []

    async def attempt(number: int) -> None:
        with pytest.raises(SessionFailed) as failed:
            await scene.open(f"lease-{number:04d}", Peer(1000, 1000, 600 + number), wait=600.0)
        told.append(failed.value.reason)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(attempt, number)
    assert (len(told), len(set(told)), len(scene.starts)) == (10, 1, 1)
    scene.probes.ready_after = 0.0
    await scene.open("lease-z")
    assert len(scene.starts) == 2


async def test_without_any_check_it_is_ready_once_it_has_run_for_a_second(stage: Stage) -> None:
    """One that cannot even do that is told; one that lives is well."""
    scene = Scene(stage, health=None)
    before = anyio.current_time()
    job = await scene.open()
    assert 1.0 <= anyio.current_time() - before < 2.0
    await scene.give_back()
    before = anyio.current_time()
    assert (await scene.open("lease-b")).id == job.id
    assert anyio.current_time() - before < 0.1


async def test_the_lease_lasts_while_a_start_takes_longer_than_it(stage: Stage) -> None:
    """The client does not have it yet, so the daemon renews it."""
    scene = Scene(stage, start_timeout=300.0)
    scene.probes.ready_after = 200.0
    lock, _ = await scene.sessions.open("browser", "lease-a", 5.0, 0.0, ALICE)
    assert lock.token == 1
    assert await scene.state() == "in_use"


async def test_who_hangs_up_while_it_starts_does_not_have_it(scene: Scene) -> None:
    """The start goes on, and serves whoever comes next."""
    with anyio.move_on_after(1.0):
        await scene.open()
    job = await scene.open("lease-b", BOB, wait=10.0)
    assert scene.starts == [job.id]


async def test_a_second_call_for_the_same_lease_keeps_what_the_first_had(scene: Scene) -> None:
    """A client whose connection broke asks again; that the first call ends takes nothing from it."""
    first = anyio.CancelScope()

    async def ask() -> None:
        with first:
            await scene.open()

    scene.stage.group.start_soon(ask)
    await anyio.sleep(0.5)

    async def cut() -> None:
        await anyio.sleep(0.2)
        first.cancel()

    scene.stage.group.start_soon(cut)
    await scene.open(wait=5.0)
    await anyio.sleep(1.0)
    assert (await scene.state(), len(await scene.stage.store.locks())) == ("in_use", 1)


async def test_closing_ends_it_for_sure(scene: Scene) -> None:
    """Not while somebody uses it, unless by force: then its user has lost the lease."""
    job = await scene.open()
    with pytest.raises(SessionInUse):
        await scene.sessions.close("browser", ME, force=False, reason=None)
    assert await scene.sessions.close("browser", ME, force=True, reason="upgrade") == job.id
    assert scene.stage.runner.live[job.id] == 0
    lock = await scene.stage.store.lock("session:browser")
    assert lock is not None
    with pytest.raises(LeaseLost):
        await scene.stage.supervisor.locks.renew(lock.name, 1, 0.0, ALICE)
    view = await scene.sessions.view("browser")
    assert (view.state, view.ended) == ("closed", "the session was closed: upgrade")
    assert await scene.sessions.close("browser", ME, force=False, reason=None) is None


@pytest.mark.parametrize("call", ["open", "view", "close"])
async def test_one_that_is_not_configured_is_told_with_those_that_are(scene: Scene, call: str) -> None:
    """And nothing is started."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "open": lambda: scene.sessions.open("brwoser", "lease-a", None, 0.0, ALICE),
        "view": lambda: scene.sessions.view("brwoser"),
        "close": lambda: scene.sessions.close("brwoser", ME, force=True, reason=None),
    }
    with pytest.raises(UnknownSession) as told:
        await calls[call]()
    assert (told.value.known, scene.starts) == (["browser", "other"], [])
