"""What one user takes of the daemon is bounded, and is no loss of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from jobkeepd.core.authz import Access, Role
from jobkeepd.core.model import Peer
from jobkeepd.core.quota import Quota
from rpc.conftest import Client, Serve, Served, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def others(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Served]:
    """A daemon whose next callers have these uids: viewers, but 900, which is the service's own."""
    uids: list[int] = []
    monkeypatch.setattr("jobkeepd.rpc.listener.peer_of", lambda sock: Peer(uids.pop(0), 1, 1))
    monkeypatch.setattr("jobkeepd.rpc.listener.groups_of", lambda sock: (7,))

    def start(quota: Quota, *callers: int, **settings: int) -> Served:
        uids.extend(callers)
        served = serve(**settings)
        served.listener.admit(Access(900, {}, {7: Role.VIEWER}), quota)
        return served

    return start


async def waiting(served: Served) -> Client:
    """A connection that is not at rest."""
    client = await served.client()
    client.ask("org.jobkeep.Jobs.Wait", ids=["abc"])
    return client


async def test_who_has_all_connections_at_work_gets_no_more(others: Callable[..., Served]) -> None:
    """The error says so, before the connection is closed; another user is not concerned, nor are processes of jobs."""
    served = others(Quota(connections=2), 1, 1, 1, 2, 900, 900, 900)
    await served.daemon.submitted("abc")
    first, second = [await waiting(served) for _ in range(2)]
    await until(lambda: served.daemon.jobs.waiting == 2)

    third = await served.client()
    third.ask("org.varlink.service.GetInfo")
    refused = await third.reply()
    assert refused["error"] == "org.jobkeep.Admin.LimitReached"
    assert refused["parameters"] == {
        "message": "user 1 has 2 connections at work, and max_connections is 2", "uid": 1, "key": "max_connections",
        "most": 2,
    }  # fmt: skip
    assert await third.hung_up() == b""
    assert await (await served.client()).call("org.varlink.service.GetInfo")
    service = [await waiting(served) for _ in range(3)]
    await until(lambda: served.daemon.jobs.waiting == 5)
    assert not any(client.reader.at_eof() for client in (first, second, *service))


async def test_idle_connections_make_room_for_a_new_one(others: Callable[..., Served]) -> None:
    """First the one that never said anything, however young; then the one that is silent for longest."""
    served = others(Quota(connections=3), 1, 1, 1, 1, 1)
    old, young = await served.client(), await served.client()
    for client in (old, young):
        await client.call("org.varlink.service.GetInfo")
    mute = await served.client()
    await until(lambda: len(served.listener.census.guests) == 3)

    for expected in (mute, old):
        await (await served.client()).call("org.varlink.service.GetInfo")
        assert await expected.hung_up() == b""
    assert await young.call("org.varlink.service.GetInfo")


async def test_who_has_most_makes_room_for_others(others: Callable[..., Served]) -> None:
    """Where all connections together are too many; some are kept for processes of jobs and who administers."""
    served = others(Quota(), *[1] * 6, 2, 2, 900, connections=8, connections_reserved=2)
    await served.daemon.submitted("abc")
    many = [await served.client() for _ in range(6)]
    await until(lambda: len(served.listener.census.guests) == 6)
    two = [await waiting(served) for _ in range(2)]
    await until(lambda: served.daemon.jobs.waiting == 2)

    assert await many[0].hung_up() == await many[1].hung_up() == b""
    assert len(served.listener.census.guests) == 6
    await (await served.client()).call("org.varlink.service.GetInfo")
    assert len(served.listener.census.guests) == 7
    assert not any(client.reader.at_eof() for client in two)


async def test_messages_over_the_rate_wait_and_none_is_lost(others: Callable[..., Served]) -> None:
    """All connections of a user share it; those of another one have their own."""
    served = others(Quota(message_rate=50.0), 1, 1, 2)
    first, second, other = [await served.client() for _ in range(3)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    for client in (first, second):
        for _ in range(60):  # 100 are free
            client.ask("org.varlink.service.GetInfo")
    await other.call("org.varlink.service.GetInfo")
    at_once = loop.time() - began
    for client in (first, second):
        for _ in range(60):
            assert "error" not in await client.reply()

    assert loop.time() - began >= 20 / 50 - 0.05
    assert at_once < loop.time() - began
    served.listener.admit(Access(900, {}, {7: Role.VIEWER}), Quota())
    for _ in range(300):
        first.ask("org.varlink.service.GetInfo")
    for _ in range(300):
        await first.reply()
