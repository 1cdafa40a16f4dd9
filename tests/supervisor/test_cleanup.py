"""Clean-up over a host that is made up, in virtual time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import anyio
import pytest
from msgspec.structs import replace

from fakes.runner import BOOT
from jobkeepd.core.families import Families, Family
from jobkeepd.core.model import Identity, Job
from jobkeepd.core.sight import Mark, Sight
from jobkeepd.runner.base import Ended, HostLook
from jobkeepd.supervisor.claims import Claims
from jobkeepd.supervisor.cleanup import Cleaned, Cleanup
from jobkeepd.supervisor.ownership import Owners
from jobkeepd.supervisor.settings import CleanupSettings

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio
DAEMON, SLOT, UID = 100, 101, 1000
SETTINGS = CleanupSettings(interval=300.0, schedule="", look_interval=30.0, grace=5.0)
FAMILIES = Families([Family("driver", ["driver"], None, 2), Family("browser", ["browser"], "driver")])


class FakeHost:
    """Processes that die when they are ended, unless they are `immortal`. Implements Lookout and Reaper."""

    def __init__(self) -> None:
        self.sights: dict[int, Sight] = {}
        self.slots: dict[int, str] = {}
        self.immortal: set[int] = set()
        self.next_generation: list[Sight] = []  # forked while others are ended
        self.looks = 0
        self.slept = 0.0  # seconds that the host was suspended
        self.close: dict[int, Sight] = {}  # what a closer look shows, where that is something else
        self.ended: list[list[int]] = []
        self.start(DAEMON, 1, "jobkeepd")

    def start(self, pid: int, parent: int = 1, name: str = "sleep", mark: Mark | None = None) -> Sight:
        born = anyio.current_time() + self.slept if self.sights else 0.0
        sight = Sight(pid, pid * 10, parent, UID, born=born, names=(name,), command=name, mark=mark)
        self.sights[pid] = sight
        return sight

    async def look(self, arguments: bool, afresh: bool = False) -> HostLook:
        self.looks += 1
        now, sights, slots = anyio.current_time() + self.slept, dict(self.sights), dict(self.slots)
        return HostLook(now, BOOT, DAEMON, "", sights, slots, frozenset())

    async def closer(self, sights: Sequence[Sight]) -> list[Sight]:
        return [self.close.get(sight.pid, sight) for sight in sights]

    async def end(self, sights: Sequence[Sight], grace: float) -> list[Ended]:
        self.ended.append([sight.pid for sight in sights])
        dying = [sight for sight in sights if sight.pid not in self.immortal]
        for sight in dying:
            del self.sights[sight.pid]
        self.sights.update({sight.pid: sight for sight in self.next_generation})
        self.next_generation = []
        return [
            Ended(sight, Identity(BOOT, sight.pid, sight.start_ticks, 9), (15,), sight in dying, "it is in D")
            for sight in sights
        ]


class Yard:
    def __init__(self, stage: Stage, settings: CleanupSettings) -> None:
        supervisor = stage.supervisor
        self.stage = stage
        self.host = FakeHost()
        followed = lambda: [task.job for task in supervisor.dispatcher.tasks.values()]  # noqa: E731
        claims = Claims(followed, stage.workshop.store, lambda seat: f"cookie of {seat}", lambda: ())
        self.owners = Owners(self.host, claims, FAMILIES, UID, settings.orphaned_for, stage.workshop.clock)
        self.cleanup = Cleanup(self.owners, self.host, stage.workshop, settings)

    async def run(self, seconds: float) -> Mark:
        """The mark of a run that takes so long."""
        self.stage.runner.duration = seconds
        (id,) = await self.stage.submit()
        job = await self.stage.until(id, "running")
        assert job.run is not None
        return Mark(job.run.cookie, id, job.run.number)


@pytest.fixture
async def yard(stage: Stage) -> Yard:
    return Yard(stage, SETTINGS)


def actions(cleaned: Cleaned) -> dict[int, str]:
    return {row.finding.sight.pid: row.action for row in cleaned.rows}


async def signals(yard: Yard) -> list[dict[str, object]]:
    """What the journal has of them."""
    return [entry.data for entry in await yard.stage.store.entries(0, 1000) if entry.kind == "signalled"]


async def test_what_an_ended_run_has_left_is_ended_and_put_on_record(yard: Yard) -> None:
    """With its identity, the evidence, the reason, and who asked; also in the history of its job."""
    mark = await yard.run(20.0)
    yard.host.start(200, 1, mark=mark)
    await anyio.sleep(5)
    assert actions(await yard.cleanup.clean_once())[200] == "protected"
    await anyio.sleep(30)
    cleaned = await yard.cleanup.clean_once(by=ME, reason="a leak")
    assert actions(cleaned)[200] == "killed"
    (said,) = await signals(yard)
    assert said == {
        "signal": "SIGTERM", "pid": 200, "boot_id": BOOT, "start_ticks": 2000, "pidfd_inode": 9, "scope": "process",
        "command": "sleep", "evidence": ["cookie", "seen"], "cause": "hand",
        "reason": f"run {mark.job}.1 has ended: a leak",
    }  # fmt: skip
    (entry,) = [each for each in await yard.stage.store.history(mark.job or "") if each.kind == "signalled"]
    assert (entry.by, entry.run) == (ME, 1)


async def test_a_dry_run_signals_nobody_and_predicts(yard: Yard) -> None:
    """What the same call without it then does."""
    mark = await yard.run(1.0)
    yard.host.start(200, 1, mark=mark)
    yard.host.start(201, 200)
    await anyio.sleep(30)
    foretold = await yard.cleanup.clean_once(dry_run=True)
    assert yard.host.ended == []
    done = await yard.cleanup.clean_once()
    assert {pid for pid, action in actions(foretold).items() if action == "would_kill"} == {200, 201}
    assert {pid for pid, action in actions(done).items() if action == "killed"} == {200, 201}


async def test_a_forged_cookie_is_no_proof(yard: Yard) -> None:
    """Job and number are for everybody to see; the cookie is not."""
    mark = await yard.run(1.0)
    yard.host.start(200, 1, mark=replace(mark, cookie="guessed"))
    await anyio.sleep(30)
    assert actions(await yard.cleanup.clean_once())[200] == "left"


async def test_who_was_seen_beneath_a_run_is_known_without_a_cookie(yard: Yard) -> None:
    """When slot and spawner are gone, and with them all descent."""
    mark = await yard.run(20.0)
    yard.host.start(200, 1, mark=mark)
    child = yard.host.start(201, 200)
    await anyio.sleep(5)
    assert actions(await yard.cleanup.clean_once())[201] == "protected"
    del yard.host.sights[200]
    yard.host.sights[201] = replace(child, parent=1)
    assert actions(await yard.cleanup.clean_once())[201] == "protected"
    await anyio.sleep(30)
    assert actions(await yard.cleanup.clean_once())[201] == "killed"


async def test_a_closer_look_may_show_another_run(yard: Yard) -> None:
    """One that is under way: a program that was started in the process meanwhile has its cookie."""
    mark = await yard.run(1.0)
    await anyio.sleep(10)
    live = await yard.run(60.0)
    sight = yard.host.start(200, 1, mark=mark)
    await anyio.sleep(5)
    yard.host.close[200] = replace(sight, mark=live)
    assert actions(await yard.cleanup.clean_once())[200] == "protected"
    assert yard.host.ended == []


async def test_a_driver_is_looked_at_closely_before_its_children_are_ended(yard: Yard) -> None:
    """As a service of its own it is no orphan, and so they are none."""
    driver = yard.host.start(200, 1, "driver")
    yard.host.start(201, 200, "browser")
    await anyio.sleep(60)
    assert actions(await yard.cleanup.look())[201] == "would_kill"
    yard.host.close[200] = replace(driver, cgroup="/system.slice/driver.service")
    assert actions(await yard.cleanup.clean_once())[201] == "left"


async def test_who_is_under_way_is_known_without_the_store(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of an ended run it is asked once, however often one looks."""
    ended = await yard.run(1.0)
    await anyio.sleep(10)
    yard.host.start(200, 1, mark=await yard.run(600.0))
    kept = yard.host.sights[201] = replace(yard.host.start(201, 1, mark=ended), keep=True)
    asked: list[str] = []
    get = yard.stage.store.get

    async def counted(job: str) -> Job:
        asked.append(job)
        return await get(job)

    monkeypatch.setattr(yard.stage.store, "get", counted)
    for _ in range(5):
        await yard.cleanup.look()
    assert asked == [kept.mark.job if kept.mark else None]


async def test_a_worker_is_known_by_the_cookie_of_its_seat(yard: Yard) -> None:
    """It lives as long as its slot does."""
    yard.host.start(SLOT, DAEMON)
    yard.host.slots[SLOT] = "s1"
    yard.host.start(200, 1, mark=Mark("cookie of s1", seat="s1"))
    await anyio.sleep(5)
    assert actions(await yard.cleanup.clean_once())[200] == "protected"
    del yard.host.slots[SLOT], yard.host.sights[SLOT]
    assert actions(await yard.cleanup.clean_once())[200] == "killed"


async def test_what_others_protect_stays_until_they_let_go(yard: Yard) -> None:
    """As a session in use does; it is counted."""
    yard.host.start(200, 1, "driver")
    yard.host.start(201, 200, "browser")
    root = Identity(BOOT, 200, 2000)
    yard.owners.protect(root, "session web, in use")
    await anyio.sleep(60)
    cleaned = await yard.cleanup.clean_once()
    assert (actions(cleaned)[201], cleaned.active_sessions) == ("protected", 1)
    yard.owners.expose(root)
    assert actions(await yard.cleanup.clean_once())[201] == "killed"


async def test_what_is_forked_meanwhile_goes_in_the_next_round(yard: Yard) -> None:
    """And who lives on is told, and tried once only."""
    mark = await yard.run(1.0)
    first = yard.host.start(200, 1, mark=mark)
    yard.host.start(203, 1, mark=mark)
    yard.host.immortal.add(203)
    yard.host.next_generation = [replace(first, pid=202, start_ticks=2020)]
    await anyio.sleep(30)
    cleaned = await yard.cleanup.clean_once()
    assert yard.host.ended == [[200, 203], [202]]
    assert [(each.sight.pid, each.why) for each in cleaned.survivors] == [(203, "it is in D")]


async def test_it_comes_by_itself_each_interval(yard: Yard) -> None:
    """Looks alone end nobody."""
    mark = await yard.run(1.0)
    yard.host.start(200, 1, mark=mark)
    async with anyio.create_task_group() as group:
        group.start_soon(yard.cleanup.keep_cleaning)
        await anyio.sleep(290)
        assert (yard.host.looks > 8, yard.host.ended) == (True, [])
        await anyio.sleep(20)
        assert yard.host.ended == [[200]]
        group.cancel_scope.cancel()
    assert (await signals(yard))[0]["cause"] == "interval"


async def test_a_family_that_has_grown_too_large_calls_for_one(yard: Yard) -> None:
    """At the next look, and no sooner; what has a parent is left."""
    yard.host.start(200, 1, "driver")
    async with anyio.create_task_group() as group:
        group.start_soon(yard.cleanup.keep_cleaning)
        await anyio.sleep(100)
        assert yard.host.ended == []
        yard.host.start(201, DAEMON, "driver")
        yard.host.start(202, DAEMON, "driver")
        await anyio.sleep(45)
        assert yard.host.ended == [[200]]
        group.cancel_scope.cancel()
    assert [said["cause"] for said in await signals(yard)] == ["threshold"]


@pytest.fixture
def utc() -> Iterator[None]:
    """The host's time is UTC, which begins 800 s before the first full hour of a test's clock."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


async def test_it_comes_by_the_calendar(stage: Stage, utc: None) -> None:
    """Once at each of its times: 1,000,000 s after the beginning of time it was 13:46:40."""
    settings = CleanupSettings(interval=86400.0, schedule="0 14 * * *", look_interval=86400.0)
    yard = Yard(stage, settings)
    mark = await yard.run(1.0)
    yard.host.start(200, 1, mark=mark)
    async with anyio.create_task_group() as group:
        group.start_soon(yard.cleanup.keep_cleaning)
        await anyio.sleep(790)
        assert yard.host.ended == []
        await anyio.sleep(30)
        assert yard.host.ended == [[200]]
        await anyio.sleep(600)
        assert yard.host.looks <= 2
        group.cancel_scope.cancel()
    assert (await signals(yard))[0]["cause"] == "schedule"
