"""Pages that change while they are open: one subscription for all, four times a second at most, without gaps."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio
import pytest

from jobkeep.web import hub as hubs
from jobkeep.web.hub import Hub
from jobkeep.web.live import stream
from jobkeep.web.model import filters
from jobkeep.web.pages import Pages
from jobkeep.web.screens.base import Desk, Screen
from jobkeep.web.screens.job import OneJob
from jobkeep.web.screens.jobs import Jobs
from web.fakes import FakeDaemon, as_connection, chunk, event, job

pytestmark = pytest.mark.anyio
JOBS = Jobs(filters.parse([]))
PATIENCE_S = 60


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def daemon() -> FakeDaemon:
    daemon = FakeDaemon()
    daemon.put(job("aaa111", "running"), job("bbb222", "queued"))
    return daemon


@pytest.fixture
def desk(daemon: FakeDaemon) -> Desk:
    return Desk(as_connection(daemon), Hub(as_connection(daemon)), Pages(False), False)


class Reader:
    """A browser with a page open. `events` are the ids and data of what has come."""

    def __init__(self, desk: Desk, screen: Screen, place: str = "") -> None:
        self.events: list[tuple[str, str]] = []
        self._stream = stream(desk, screen, place)

    async def until(self, word: str) -> str:
        """Read on until something with the word comes."""
        with anyio.fail_after(PATIENCE_S):
            async for data in self._stream:
                text = data.decode()
                if text.startswith("id: "):
                    id, _, rest = text.removeprefix("id: ").partition("\n")
                    self.events.append((id, re.sub("^data: ", "", rest, flags=re.MULTILINE)))
                    if word in rest:
                        return self.events[-1][1]
        raise AssertionError("the stream has ended")

    async def close(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]


@asynccontextmanager
async def reading(desk: Desk, screen: Screen, place: str = "") -> AsyncIterator[Reader]:
    reader = Reader(desk, screen, place)
    try:
        yield reader
    finally:
        await reader.close()


async def test_a_job_that_ends_leaves_the_active_list_at_once(daemon: FakeDaemon, desk: Desk) -> None:
    """With the next beat its row is among those that have ended, and the counts of the tabs have changed."""
    async with desk.hub.running(), reading(desk, JOBS) as reader:
        first = await reader.until('id="rows"')
        assert "job-aaa111" in first.partition('hx-target="#ended"')[0]
        daemon.put(job("aaa111", "succeeded"))
        then = await reader.until('id="rows"')
        rows, _, ended = then.partition('hx-target="#ended"')
        assert "job-aaa111" not in rows
        assert "job-aaa111" in ended
        assert 'id="tab-succeeded"' in then


async def test_only_the_row_that_has_changed_is_sent(daemon: FakeDaemon, desk: Desk) -> None:
    """Progress is no event: what runs is looked at again by itself, and the other rows stay as they are."""
    async with desk.hub.running(), reading(desk, JOBS) as reader:
        await reader.until('id="rows"')
        daemon.jobs["aaa111"] = job("aaa111", "running", progress={"done": 7, "total": 9})
        changed = await reader.until("7/9")
        assert "job-bbb222" not in changed
        assert 'hx-target="#rows"' not in changed


async def test_fifty_pages_are_one_subscription(daemon: FakeDaemon, desk: Desk) -> None:
    """And one look per beat: what is asked of the daemon does not depend on how many have the page open."""
    async with desk.hub.running():
        readers = [Reader(desk, JOBS) for _ in range(50)]
        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(reader.until, 'id="rows"')
        begun, looks, began = daemon.count("status"), desk.hub.looks, anyio.current_time()
        assert desk.hub.subscriptions == daemon.count("events") == 1
        daemon.put(job("ccc333", "queued"))
        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(reader.until, "job-ccc333")
        assert daemon.count("status") - begun == desk.hub.looks - looks
        beats = 2 + (anyio.current_time() - began) / hubs.BEAT_S  # that have gone by, however slow the machine is
        assert daemon.count("status") - begun <= beats
        assert daemon.count("events") == 1
        for reader in readers:
            await reader.close()


async def test_a_thousand_events_are_one_look(daemon: FakeDaemon) -> None:
    """Between two beats everything is one change; without any event a page that stands still is left alone."""
    hub = Hub(as_connection(daemon))
    hub._stir = 0
    with hub.listening() as listener:
        assert hub.beat_once(100.0)  # it was never looked at
        for seq in range(1000):
            hub.note(event(seq))
        assert hub.beat_once(100.25)
        assert not hub.beat_once(100.5)
        listener.moving = True
        assert not hub.beat_once(100.25 + hubs.MOVING_S - 0.01)
        assert hub.beat_once(100.25 + hubs.MOVING_S)
        listener.moving = False
        assert not hub.beat_once(105.0)
        assert hub.beat_once(100.75 + hubs.STILL_S)
    assert not hub.beat_once(1000.0)  # nobody looks


async def test_without_a_page_there_is_no_subscription(daemon: FakeDaemon, desk: Desk) -> None:
    """An open dashboard that nobody looks at costs the daemon nothing."""
    async with desk.hub.running():
        assert daemon.calls == []
        async with reading(desk, JOBS) as reader:
            await reader.until('id="rows"')
            await followers(daemon, 1)
        await followers(daemon, 0)
        assert daemon.count("events") == 1


async def followers(daemon: FakeDaemon, count: int) -> None:
    """Until so many follow the events."""
    with anyio.fail_after(PATIENCE_S):
        while daemon.followers != count:
            await anyio.sleep(0.01)


async def test_who_leaves_while_looking_takes_nobody_along(desk: Desk) -> None:
    """The look that several pages wait for is taken over by another one of them."""
    turns, begun, gate = count(), anyio.Event(), anyio.Event()

    async def look() -> int:
        turn = next(turns)
        begun.set()
        if turn == 0:
            await gate.wait()
        return turn

    found: list[int] = []

    async def wait() -> None:
        found.append(await desk.hub.shared("key", look))

    async with anyio.create_task_group() as group, anyio.create_task_group() as leaving:
        leaving.start_soon(wait)
        await begun.wait()
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        leaving.cancel_scope.cancel()
    assert found == [1]


async def test_output_goes_on_where_it_was(daemon: FakeDaemon, desk: Desk) -> None:
    """A new connection begins behind the last event: no line is missing, none comes twice, over runs as well."""
    screen = OneJob("aaa111")
    daemon.output_of = [chunk(b"one\ntwo\nthr")]
    async with desk.hub.running():
        async with reading(desk, screen, "1.4.0") as reader:
            assert 'stdout">one' not in await reader.until("two")
            last = reader.events[-1][0]
            assert last == "1.8.0"
        daemon.output_of.append(chunk(b"ee\nfour\n", 11))
        async with reading(desk, screen, last) as reader:
            text = await reader.until("four")
            assert re.findall(r'class="line stdout">(\w+)', text) == ["three", "four"]
            daemon.output_of.append(chunk(b"again\n", run=2))
            daemon.put(job("aaa111", "running", attempt=2))
            text = await reader.until("again")
            assert "run 2" in text
            assert reader.events[-1][0] == "2.6.0"


async def test_a_daemon_that_is_gone_is_told_and_waited_for(
    daemon: FakeDaemon, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A banner says so while the page stays as it was; once a daemon answers, it goes and all is looked at."""
    monkeypatch.setattr(hubs, "RETRY_S", 0.01)
    async with desk.hub.running(), reading(desk, JOBS) as reader:
        await reader.until('id="rows"')
        daemon.leave()
        assert "No daemon answers" in await reader.until("trying again")
        assert desk.hub.away is not None
        daemon.away = None
        daemon.put(job("ccc333", "queued"))
        await reader.until("job-ccc333")
        assert 'role="alert" hidden' in "".join(data for _, data in reader.events[-3:])
        assert desk.hub.away is None


async def test_a_job_that_is_removed_is_told(daemon: FakeDaemon, desk: Desk) -> None:
    """Its open page says so, and goes on listening."""
    async with desk.hub.running(), reading(desk, OneJob("aaa111")) as reader:
        await reader.until('id="head"')
        del daemon.jobs["aaa111"]
        daemon.tell("removed", "aaa111")
        assert "No job aaa111" in await reader.until('role="alert"')


async def test_the_journal_is_asked_for_when_it_has_grown(daemon: FakeDaemon, desk: Desk) -> None:
    """A page that moves twice a second does not fetch a long history as often."""
    async with desk.hub.running(), reading(desk, OneJob("aaa111")) as reader:
        await reader.until('id="head"')
        asked = daemon.count("history")
        for done in range(1, 4):
            daemon.jobs["aaa111"] = job("aaa111", "running", progress={"done": done, "total": 9})
            await reader.until(f"{done}/9")
        assert daemon.count("history") <= asked + 1  # once more after the subscription has begun
        daemon.put(job("aaa111", "succeeded"))
        await reader.until("succeeded")
        assert daemon.count("history") > asked
