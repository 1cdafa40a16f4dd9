"""What one user's calls take of the daemon's memory while they are answered, and after, is bounded in all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from jobkeepd.core.model import Job, Peer
from jobkeepd.rpc.load import CALL, LARGE, Load
from jobkeepd.store.base import JobFilter
from rpc.conftest import Serve, Served, until

pytestmark = pytest.mark.anyio

INFO = "org.varlink.service.GetInfo"
LIST = "org.jobkeep.Jobs.List"
SUBMIT = "org.jobkeep.Jobs.Submit"
WAIT = "org.jobkeep.Jobs.Wait"


async def turns(count: int = 20) -> None:
    """What could happen now has happened after these."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_turns_go_round_by_process() -> None:
    """A process with many that wait gets no more of them than one with a single one."""
    load = Load(2, asyncio.get_running_loop())
    called: list[str] = []
    load.add(2)
    for pid, name in [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (3, "e")]:
        load.turns.join(_peer(pid), _caller(load, called, name))

    for _ in range(5):
        load.remove(2)
        await turns(2)

    assert called == ["a", "d", "e", "b", "c"]


def _peer(pid: int) -> Peer:
    return Peer(1000, 1000, pid)


def _caller(load: Load, called: list[str], name: str) -> Callable[[], None]:
    def go_on() -> None:
        called.append(name)
        load.add(2)

    return go_on


async def test_who_comes_now_does_not_pass_who_waits() -> None:
    """There is room for a newcomer only where nobody waits; who has left waits no more."""
    load = Load(2, asyncio.get_running_loop())
    called: list[str] = []
    first, gone = _caller(load, called, "first"), _caller(load, called, "gone")
    load.add(2)
    load.turns.join(_peer(1), gone)
    load.turns.join(_peer(1), first)
    load.turns.leave(_peer(1), gone)
    load.turns.leave(_peer(7), gone)
    load.remove(2)

    assert not load.is_full
    assert not load.has_room
    await turns(2)
    assert called == ["first"]
    load.remove(2)
    assert load.has_room


class SlowLists:
    """A store whose lists take until they are let go."""

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running = self.most = self.begun = 0
        self.go = anyio.Event()
        self._list = served.daemon.store.list
        monkeypatch.setattr(served.daemon.store, "list", self.list)

    async def list(self, where: JobFilter) -> list[Job]:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
            await asyncio.sleep(0)
            return await self._list(where)
        finally:
            self.running -= 1


async def test_few_large_replies_are_made_at_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections ask, and however many calls each sends ahead; what is small is answered meanwhile."""
    served = serve(replies_per_uid=3 * LARGE)
    await served.daemon.submitted("abc")
    store = SlowLists(served, monkeypatch)
    clients = [await served.client() for _ in range(20)]
    for client in clients:
        for _ in range(5):
            client.ask(LIST)
    await until(lambda: store.running == 3)
    other = await served.client()
    for _ in range(20):
        assert await other.call(INFO)
        assert await other.call("org.jobkeep.Jobs.Get", id="abc")
    assert store.running == 3

    store.go.set()
    for client in clients:
        for _ in range(5):
            assert [job["id"] for job in (await client.reply())["parameters"]["jobs"]] == ["abc"]
    assert store.most == 3


async def test_a_list_is_made_to_its_end_though_its_caller_is_gone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who calls and hangs up again and again would have any number made; who waits for a turn gives it up."""
    served = serve(replies_per_uid=2 * LARGE)
    store = SlowLists(served, monkeypatch)
    clients = [await served.client() for _ in range(10)]
    for client in clients:
        for _ in range(3):
            client.ask(LIST)
    await _guests(served, 10)
    await until(lambda: store.running == 2)
    for client in clients:
        await client.close()
    await turns()
    assert store.running == store.begun == 2

    store.go.set()
    await _guests(served, 0)
    assert (await (await served.client()).call(LIST))["jobs"] == []
    assert store.begun == 3


async def test_what_changes_something_has_its_turn_though_its_caller_is_gone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends a oneway call and hangs up has done all that there is to do."""
    served = serve(replies_per_uid=LARGE)
    go, cleaned = anyio.Event(), []
    clean_once = served.daemon.cleanup.clean_once

    async def clean(**asked: Any) -> Any:
        cleaned.append(asked["reason"])
        await go.wait()
        return await clean_once(**asked)

    monkeypatch.setattr(served.daemon.cleanup, "clean_once", clean)
    for number in range(4):
        client = await served.client()
        client.ask("org.jobkeep.Processes.Cleanup", {"oneway": True}, reason=f"number {number}")
        await until(lambda: cleaned)
        await turns()
        await client.close()
    assert cleaned == ["number 0"]

    go.set()
    await until(lambda: len(cleaned) == 4)
    await _guests(served, 0)


async def test_what_nobody_reads_is_forgotten_when_its_connection_is_dropped(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In that moment, and not a turn of the loop later; what is made for it afterwards is not kept either."""
    served = serve()
    await served.daemon.submitted("abc")
    store = SlowLists(served, monkeypatch)
    client = await served.client()
    client.ask(WAIT, ids=["abc"])
    client.ask("org.jobkeep.Jobs.Get", id="abc")
    client.ask(LIST)
    (guest,) = await _guests(served, 1)
    await until(lambda: store.running)
    assert guest.held > len(b"abc")

    guest.drop("test")
    assert guest.held == 0
    store.go.set()
    await until(lambda: not store.running)
    await turns()
    assert guest.held == 0
    assert not served.listener.census.guests


async def _guests(served: Served, count: int) -> set[Any]:
    await until(lambda: len(served.listener.census.guests) == count)
    return set(served.listener.census.guests)


async def test_calls_that_wait_for_a_commit_are_taken_up_to_a_bound(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next ones stay where they are, and are answered after it: all, in the order of their connection."""
    served = serve(calls_per_uid=10 * CALL)
    post = served.daemon.store.post
    commits: list[Callable[[], None]] = []
    monkeypatch.setattr(
        served.daemon.store, "post", lambda change, told: commits.append(lambda: post(change, told))
    )
    clients = [await served.client() for _ in range(8)]
    for client in clients:
        for _ in range(4):
            client.ask(SUBMIT, spec={"command": ["true"]})
    await until(lambda: len(commits) >= 9)
    await turns()
    assert len(commits) <= 10

    for done in range(32):
        await until(lambda done=done: len(commits) > done)
        assert len(commits) <= done + 10
        commits[done]()
    for client in clients:
        ids = [int((await client.reply())["parameters"]["id"].removeprefix("job")) for _ in range(4)]
        assert ids == sorted(ids)


async def test_calls_that_wait_for_long_are_a_burden(serve: Serve) -> None:
    """They hold nobody up; when all of a user's hold too much, connections that hold most for longest go."""
    served = serve(held_per_uid=1 << 20, in_flight=1000)
    await served.daemon.submitted("abc")
    hoarder, other = await served.client(), await served.client()
    other.ask(WAIT, ids=["abc"])
    for _ in range(400):
        hoarder.ask(WAIT, ids=["abc"])

    assert await hoarder.hung_up() == b""
    assert len(served.listener.census.guests) == 1
    await served.daemon.started("abc")
    await served.daemon.ended("abc")
    assert (await other.reply())["parameters"]["jobs"]


async def test_calls_that_are_not_taken_up_are_a_burden(serve: Serve) -> None:
    """However short each is: they count with what Python takes for them."""
    served = serve(held_per_uid=1 << 20, in_flight=1)
    flood = b'{"method":"a"}\0' * 10_000
    clients = [await served.client() for _ in range(6)]
    for client in clients:
        client.ask(WAIT, ids=["abc"])
        client.ask("org.jobkeep.Locks.Acquire", name="x")
    for client in clients:
        client.write(flood)

    ended = [asyncio.ensure_future(client.hung_up()) for client in clients]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED, timeout=120)
    held = sum(guest.held for guest in served.listener.census.guests)
    for task in ended:
        task.cancel()

    assert held <= 1 << 20


async def test_nobody_waits_for_all_that_another_has_sent(serve: Serve) -> None:
    """Of those who have sent very much, one has a turn at a time; who has little is answered meanwhile."""
    served = serve(turn=0.0)
    floods = [await served.client() for _ in range(5)]
    other = await served.client()
    for flood in floods:
        flood.write(b'{"method":"org.varlink.service.GetInfo"}\0' * 400)
    await until(lambda: sum(bool(guest._backlog) for guest in served.listener.census.guests) == 5)  # type: ignore[attr-defined]
    for _ in range(20):
        assert await other.call("org.jobkeep.Admin.Status")
    assert any(guest._backlog for guest in served.listener.census.guests)  # type: ignore[attr-defined]

    for flood in floods:
        for _ in range(400):
            assert "parameters" in await flood.reply()
