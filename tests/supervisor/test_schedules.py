"""Schedules in virtual time: every time once, what is missed by policy, across restarts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import Missed, OnConflict
from jobkeepd.core.firing import Terms
from jobkeepd.errors import BadSchedule, StorageFailed, UnknownSchedule
from jobkeepd.store.base import JobFilter
from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.schedules import LOOK, Schedules

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio


def terms(cron: str = "* * * * *", missed: Missed = "run_once", timezone: str = "UTC", queue: str = "default") -> Terms:
    spec = JobSpec(command=["true"], queue=queue)
    return Terms(cron=cron, timezone=timezone, spec=spec, environment=None, owner=ME, missed=missed)


async def add(stage: Stage, given: Terms, name: str = "s") -> None:
    await stage.supervisor.schedules.add(name, given, (), ME, replace=False)


async def fired(stage: Stage) -> list[float]:
    """The times that are on record as fired."""
    entries = await stage.store.entries(0, 10_000)
    return [entry.data["nominal_at"] for entry in entries if entry.kind == "schedule_fired"]


def next_daemon(stage: Stage) -> Schedules:
    """It finds what was stored."""
    store = stage.store
    assert isinstance(store, MemoryStore)
    return Schedules(stage.workshop, {}, lambda: ["default"], lambda jobs, done: None)


async def test_each_time_is_fired_once_and_runs(stage: Stage) -> None:
    """At its time, within a second."""
    await add(stage, terms())
    await anyio.sleep(600)
    times = await fired(stage)
    assert len(times) == 10
    assert all(at % 60 == 0 for at in times)
    jobs = await stage.store.list(JobFilter())
    assert {job.state for job in jobs} == {"succeeded"}
    assert all(job.created_at - at < 1.0 for job, at in zip(reversed(jobs), times, strict=True))


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("run_once", 1), ("run_all", 9)])
async def test_what_is_missed_is_made_up_for_by_policy(stage: Stage, missed: Missed, count: int) -> None:
    """The daemon was down, or the host asleep, for nine times and half a minute more than a time is punctual for."""
    now = stage.workshop.clock.now()
    await add(stage, terms("0 * * * *", missed))
    stage.workshop.clock.jump(9 * 3600 + 3599 - now % 3600 if now % 3600 < 3599 else 9 * 3600)  # type: ignore[attr-defined]
    await stage.supervisor.schedules.fire_once()
    times = await fired(stage)
    assert len(times) == count
    await stage.supervisor.schedules.fire_once()
    assert await fired(stage) == times


async def test_a_clock_that_is_set_back_fires_nothing_again(stage: Stage) -> None:
    """Until it is where it was."""
    await add(stage, terms())
    await anyio.sleep(300)
    before = await fired(stage)
    stage.workshop.clock.jump(-7200)  # type: ignore[attr-defined]
    await anyio.sleep(600)
    assert await fired(stage) == before


async def test_two_daemons_that_are_due_fire_once(stage: Stage) -> None:
    """The next one begins where the store says, and a late one changes nothing."""
    await add(stage, terms())
    second = next_daemon(stage)
    await second.recover_once()
    await anyio.sleep(300)
    await second.fire_once()
    times = await fired(stage)
    assert times == sorted(set(times))
    assert len(times) == 5


@pytest.mark.parametrize("committed", [False, True])
async def test_a_daemon_that_dies_about_its_commit_fires_once(
    stage: Stage, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it, the next one fires in its place; after it, the next one finds it done, though nobody was told."""
    now = stage.workshop.clock.now()
    first = next_daemon(stage)
    await first.recover_once()
    await first.add("s", terms("0 * * * *"), (), ME, replace=False)
    stage.workshop.clock.jump(3600 - now % 3600 + 1)  # type: ignore[attr-defined]
    apply = stage.store.apply

    async def dying(change: Any) -> Any:
        if committed:
            await apply(change)
        raise StorageFailed("killed")

    monkeypatch.setattr(stage.store, "apply", dying)
    with pytest.raises(StorageFailed):
        await first.fire_once()
    monkeypatch.setattr(stage.store, "apply", apply)
    assert len(await fired(stage)) == committed
    for _ in range(2):
        following = next_daemon(stage)
        await following.recover_once()
        await following.fire_once()
        assert len(await fired(stage)) == 1
    assert len(await stage.store.list(JobFilter())) == 1


async def test_a_host_that_sleeps_across_its_times_makes_up_for_them_at_once(stage: Stage) -> None:
    """Within the time that the daemon looks again: the wall clock has moved and the event loop's has not."""
    await add(stage, terms("*/10 * * * *", "run_all"))
    await anyio.sleep(1)
    stage.workshop.clock.jump(3 * 3600)  # type: ignore[attr-defined]
    await anyio.sleep(LOOK + 1)
    times = await fired(stage)
    assert len(times) == 18
    assert times == [times[0] + 600 * number for number in range(18)]


@pytest.mark.parametrize(
    ("on_conflict", "states", "fired", "skipped"),
    [
        (None, ["running"], 1, 2),
        ("reject", ["running"], 1, 2),
        ("return", ["running"], 3, 0),
        ("queue", ["running", "queued"], 2, 1),
        ("replace_queued", ["running", "cancelled", "queued"], 3, 0),
        ("cancel_running", ["cancelled", "cancelled", "running"], 3, 0),
    ],
)
async def test_a_job_that_lives_on_meets_its_successor_by_its_key(
    stage: Stage, on_conflict: OnConflict | None, states: list[str], fired: int, skipped: int
) -> None:
    """As each policy says, and every time is settled with what became of it."""
    stage.runner.duration = 86400.0  # nobody ends by himself
    given = terms()
    await add(stage, replace(given, spec=JobSpec(command=["sleep"], key="k"), on_conflict=on_conflict))
    await anyio.sleep(60 * 3 - stage.workshop.clock.now() % 60 + 30)
    kinds = Counter(entry.kind for entry in await stage.store.entries(0, 1000))
    assert (kinds["schedule_fired"], kinds["schedule_skipped"]) == (fired, skipped)
    assert [job.state for job in reversed(await stage.store.list(JobFilter()))] == states


async def test_a_paused_or_removed_schedule_fires_no_more(stage: Stage) -> None:
    """It shows no next times while it is paused; resumed it goes on from then."""
    schedules = stage.supervisor.schedules
    await add(stage, terms())
    assert len(schedules.upcoming(schedules.get("s"))) == 3
    paused = await schedules.control("s", "pause", ME, "why")
    assert schedules.upcoming(paused) == []
    await anyio.sleep(300)
    assert await fired(stage) == []
    await schedules.control("s", "resume", ME, None)
    await anyio.sleep(120)
    assert len(await fired(stage)) == 2
    await schedules.remove("s", ME, None)
    await anyio.sleep(300)
    assert len(await fired(stage)) == 2
    with pytest.raises(UnknownSchedule):
        schedules.get("s")


async def test_a_queue_that_is_gone_is_told_and_keeps_no_other_schedule(stage: Stage) -> None:
    """Its times are settled as skipped, with the reason."""
    await add(stage, terms(queue="gone"), "lost")
    await add(stage, terms(), "well")
    await anyio.sleep(120)
    assert len(await fired(stage)) == 2
    skipped = [entry for entry in await stage.store.entries(0, 1000) if entry.kind == "schedule_skipped"]
    assert {entry.data["reason"] for entry in skipped} == {"there is no queue gone any more"}


@pytest.mark.parametrize(("cron", "timezone", "field"), [("x", "UTC", "cron"), ("* * * * *", "Mars/Here", "timezone")])
async def test_what_is_no_schedule_is_refused(stage: Stage, cron: str, timezone: str, field: str) -> None:
    """With the field that is wrong."""
    with pytest.raises(BadSchedule) as refused:
        await add(stage, terms(cron, timezone=timezone))
    assert refused.value.field == field
