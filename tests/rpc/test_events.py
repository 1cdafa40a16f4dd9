"""Those who follow the journal: what they share, and what becomes of one who does not keep up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.rpc import broadcast
from rpc.conftest import Client, Served, until

pytestmark = pytest.mark.anyio

EVENTS = "org.jobkeep.Jobs.Events"
LONG = JobSpec(command=["true"], name="n" * 100)


async def follow(served: Served, **asked: Any) -> Client:
    """A client whose stream has begun."""
    client = await served.client()
    client.ask(EVENTS, {"more": True}, follow=True, **asked)
    return client


async def seqs(client: Client, last: int) -> list[int]:
    found: list[int] = []
    while not found or found[-1] < last:
        found.append((await client.reply())["parameters"]["event"]["seq"])
    return found


async def test_each_entry_is_encoded_once_for_all_who_follow(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they follow everything, one job, or from some point on; each gets what is its own."""
    encoded: list[int] = []

    def frame_of(entry: Any, frame_of: Any = broadcast.frame_of) -> bytes:
        encoded.append(entry.seq)
        return bytes(frame_of(entry))

    monkeypatch.setattr(broadcast, "frame_of", frame_of)
    await served.daemon.submitted("abc")
    clients = [await follow(served, after=after) for after in (0, 0, 0, 5)]
    one = await follow(served, job="abc", after=0)
    for client in clients[:3]:
        await client.reply()
    await one.reply()
    for number in range(100):
        await served.daemon.submitted(f"x{number}")
    await served.daemon.started("abc")

    for client in clients[:3]:
        assert await seqs(client, 102) == list(range(2, 103))
    assert await seqs(clients[3], 102) == list(range(6, 103))
    assert await seqs(one, 102) == [102]
    assert encoded == sorted(set(encoded)) != []


async def test_a_burst_is_told_in_few_writes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed within a tick goes out together; the first after a pause at once."""
    told: list[int] = []

    def pour(self: Any, piece: Any, pour: Any = broadcast.Place.pour) -> None:
        told.append(len(piece.frames))
        pour(self, piece)

    monkeypatch.setattr(broadcast.Place, "pour", pour)
    monkeypatch.setattr(broadcast, "TICK", 0.2)
    client = await follow(served, after=0)
    await served.daemon.submitted("first")
    await client.reply()
    for number in range(300):
        await served.daemon.submitted(f"x{number}")

    assert await seqs(client, 301) == list(range(2, 302))
    assert len(told) < 100
    assert sum(told) <= 301


async def test_who_does_not_keep_up_is_told_where_to_go_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """SlowReader names the last that it was sent, and the stream from there has no gap; nobody else notices."""
    monkeypatch.setattr(broadcast, "KEPT", 256 << 10)
    slow, quick = await follow(served, after=0), await follow(served, after=0)
    await served.daemon.submitted("first")
    await slow.reply()
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    number = 0
    reading = asyncio.ensure_future(seqs(quick, 4001))
    held = 0
    while number < 4000:
        await served.daemon.submitted(f"x{number}", LONG)
        number += 1
        if number % 200 == 0:
            await asyncio.sleep(broadcast.TICK)
            held = max(held, *(guest.held for guest in served.listener.census.guests))
    assert await reading == list(range(1, 4002))
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    last = 0
    while (reply := await slow.reply()).get("continues"):
        last = reply["parameters"]["event"]["seq"]

    assert reply["error"] == "org.jobkeep.Jobs.SlowReader"
    assert reply["parameters"]["after"] == last
    assert held < 4 * broadcast.PIECE
    slow.ask(EVENTS, {"more": True}, follow=True, after=last)
    assert await seqs(slow, 4001) == list(range(last + 1, 4002))


async def test_who_takes_nothing_for_too_long_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where little comes, so that nothing is kept for it."""
    monkeypatch.setattr(broadcast, "PATIENCE", 0.0)
    slow = await follow(served, after=0)
    await served.daemon.submitted("first")
    await slow.reply()
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    number = 0
    (guest,) = served.listener.census.guests
    call = guest.held
    while guest.held - call <= broadcast.PIECE:
        await served.daemon.submitted(f"x{number}", LONG)
        number += 1
        if number % 500 == 0:
            await asyncio.sleep(broadcast.TICK)
    await served.daemon.submitted("last")
    await until(lambda: not served.daemon.feed._subscriptions)
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    while (reply := await slow.reply()).get("continues"):
        pass
    assert reply["error"] == "org.jobkeep.Jobs.SlowReader"


async def test_nothing_is_encoded_or_kept_while_nobody_follows(served: Served) -> None:
    """A daemon without watchers pays nothing for them."""
    client = await follow(served, after=0)
    await served.daemon.submitted("first")
    await client.reply()
    await client.close()
    await until(lambda: not served.daemon.feed._subscriptions)
    await served.daemon.submitted("second")

    again = await follow(served, after=0)
    assert await seqs(again, 2) == [1, 2]
