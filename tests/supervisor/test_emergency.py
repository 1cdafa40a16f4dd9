"""An emergency over a host that is made up, in virtual time."""

from __future__ import annotations

import anyio
import pytest

from jobkeepd.core.model import Peer
from jobkeepd.supervisor.emergency import Emergency, Sweep, Toll

from .conftest import ME, Stage
from .test_cleanup import SETTINGS, SLOT, UID, Yard

pytestmark = pytest.mark.anyio


@pytest.fixture
async def yard(stage: Stage) -> Yard:
    return Yard(stage, SETTINGS)


def emergency(yard: Yard, by: Peer = ME, reason: str | None = None) -> Emergency:
    sweep = Sweep(yard.owners, yard.host, UID)
    return Emergency(yard.stage.supervisor, sweep, yard.stage.workshop, by, reason)


async def kinds(yard: Yard) -> list[str]:
    return [entry.kind for entry in await yard.stage.store.entries(0, 1000)]


async def test_runs_end_as_they_do_and_nothing_starts_after_them(yard: Yard) -> None:
    """A job that waits stays queued, in a queue that is paused with the reason; also by the next daemon."""
    yard.stage.runner.duration = 3600.0
    running = await yard.stage.submit(2)
    for id in running:
        await yard.stage.until(id, "running")
    (waiting,) = await yard.stage.submit()
    toll = await emergency(yard, reason="the host burns").end_once()
    assert [(await yard.stage.store.get(id)).state for id in (*running, waiting)] == [
        "cancelled",
        "cancelled",
        "queued",
    ]
    assert (toll.runs, toll.survivors, toll.unrecorded) == (2, [], None)
    await anyio.sleep(60)
    assert (await yard.stage.store.get(waiting)).state == "queued"
    (control,) = [each for each in await yard.stage.store.controls() if each.name == "default"]
    assert control.paused is not None
    assert control.paused.reason == "emergency: the host burns"
    assert {"queue_paused", "cancel_requested", "emergency"} <= set(await kinds(yard))


async def test_everything_of_ours_ends_and_slots_last(yard: Yard) -> None:
    """Protected or not, with what is forked meanwhile; a stranger stays."""
    yard.host.start(SLOT, 1, "python")
    yard.host.slots[SLOT] = "s1"
    yard.host.start(200, SLOT)
    yard.host.start(300, 1, "driver")
    yard.host.start(400, 1, "stranger")
    forked = yard.host.start(202, SLOT)
    del yard.host.sights[202]
    yard.host.next_generation = [forked]
    toll = await emergency(yard).end_once()
    assert yard.host.ended == [[200, 300], [202], [SLOT]]
    assert 400 in yard.host.sights
    assert {fate.finding.sight.pid for fate in toll.fates.values()} == {SLOT, 200, 202, 300}
    signalled = [entry.data for entry in await yard.stage.store.entries(0, 1000) if entry.kind == "signalled"]
    assert {row["cause"] for row in signalled} == {"emergency"}
    assert len(signalled) == 4


async def test_who_lives_on_is_told_and_tried_once(yard: Yard) -> None:
    """It must not keep the others from their end."""
    yard.host.start(300, 1, "driver")
    yard.host.start(301, 1, "driver")
    yard.host.immortal.add(300)
    toll = await emergency(yard).end_once()
    assert [each.sight.pid for each in toll.survivors] == [300]
    assert yard.host.ended == [[300, 301]]


async def test_locks_of_clients_are_free_with_a_higher_token(yard: Yard) -> None:
    """Who held one is told that the lease is lost."""
    lock = await yard.stage.supervisor.locks.acquire("crm", "lease-1", 3600.0, 0.0, ME)
    toll = await emergency(yard).end_once()
    assert toll.locks == 1
    assert await yard.stage.store.locks() == []
    again = await yard.stage.store.lock("crm")
    assert again is not None
    assert again.token > lock.token


async def test_a_look_alone_ends_nobody(yard: Yard) -> None:
    """It counts those that would be ended."""
    yard.host.start(300, 1, "driver")
    toll = Toll()
    await Sweep(yard.owners, yard.host, UID).look(toll)
    assert [fate.finding.sight.pid for fate in toll.fates.values()] == [300]
    assert yard.host.ended == []
