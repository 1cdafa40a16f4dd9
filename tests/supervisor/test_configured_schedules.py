"""Schedules of the configuration follow it at each start; what they have fired stays, and so do those of people."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.firing import Terms
from jobkeepd.core.model import Peer
from jobkeepd.errors import ScheduleConflict, StorageFull
from jobkeepd.store.changes import Change
from jobkeepd.supervisor.schedules import Configured, Schedules

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio

US = Peer(1000, 1000, 7)
MINUTELY = Terms(
    cron="* * * * *", timezone="UTC", spec=JobSpec(command=["true"]), environment=None, owner=US, configured=True
)


def next_daemon(stage: Stage) -> Schedules:
    """Its schedules; they find what was stored."""
    return Schedules(stage.workshop, {}, lambda: ["default"], lambda jobs, done: None)


async def started(stage: Stage, by: Peer = US, **terms: Terms) -> Schedules:
    """The next daemon, with these in its configuration."""
    schedules = next_daemon(stage)
    await schedules.recover_once(Configured(by, {name: replace(each, owner=by) for name, each in terms.items()}))
    return schedules


async def told(stage: Stage) -> list[tuple[str, str]]:
    entries = await stage.store.entries(0, 1000)
    return [(entry.kind, entry.data["schedule"]) for entry in entries if entry.kind.startswith("schedule_")]


async def test_what_is_in_the_configuration_is_added_changed_and_removed_with_it(stage: Stage) -> None:
    """At a start; a start that changes nothing writes nothing."""
    await started(stage, a=MINUTELY, b=MINUTELY)
    await started(stage, Peer(1000, 1000, 8), a=MINUTELY, b=MINUTELY)  # the daemon is another process each time
    assert await told(stage) == [("schedule_added", "a"), ("schedule_added", "b")]
    schedules = await started(stage, a=replace(MINUTELY, missed="skip"))
    assert (await told(stage))[2:] == [("schedule_changed", "a"), ("schedule_removed", "b")]
    assert [(each.name, each.terms.missed) for each in schedules.all()] == [("a", "skip")]


async def test_those_that_people_have_added_stay(stage: Stage) -> None:
    """Unless the configuration has one of that name by now: it has the last word."""
    people = await started(stage)
    for name in ("own", "taken"):
        await people.add(name, replace(MINUTELY, configured=False, owner=ME), (), ME, replace=False)
    schedules = await started(stage, taken=replace(MINUTELY, timezone="Europe/Berlin"))
    assert [(each.name, each.terms.configured) for each in schedules.all()] == [("own", False), ("taken", True)]
    schedules = await started(stage)
    assert [each.name for each in schedules.all()] == ["own"]


async def test_what_was_fired_stays_so_whatever_is_edited(stage: Stage) -> None:
    """The last time and its job are kept; times of another calendar count from the edit on, and none comes twice."""
    schedules = await started(stage, a=MINUTELY)
    await anyio.sleep(61)
    await schedules.fire_once()
    before = schedules.get("a")
    assert before.last_job is not None
    other_job = replace(MINUTELY, spec=JobSpec(command=["false"]))
    after = (await started(stage, a=other_job)).get("a")
    assert (after.cursor, after.last_at, after.last_job) == (before.cursor, before.last_at, before.last_job)
    now = stage.workshop.clock.now()
    after = (await started(stage, a=replace(other_job, cron="*/2 * * * *"))).get("a")
    assert (after.cursor, after.last_job) == (now, before.last_job)


async def test_one_of_the_configuration_is_paused_and_not_removed_at_run_time(stage: Stage) -> None:
    """The fault says what to do instead; the pause survives a start."""
    schedules = await started(stage, a=MINUTELY)
    with pytest.raises(ScheduleConflict, match="configuration: remove it there, and pause it"):
        await schedules.remove("a", ME, None)
    with pytest.raises(ScheduleConflict, match="configuration: change it there"):
        await schedules.add("a", replace(MINUTELY, configured=False), (), ME, replace=True)
    await schedules.control("a", "pause", ME, "why")
    schedules = await started(stage, a=MINUTELY)
    paused = schedules.get("a").paused
    assert paused is not None
    assert paused.reason == "why"


async def test_without_room_on_the_disk_the_old_ones_fire_no_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until what the configuration says can be stored: it may be just that they must not."""
    await started(stage, gone=MINUTELY)
    apply = stage.store.apply

    async def full(change: Change) -> Any:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(stage.store, "apply", full)
    schedules = await started(stage, new=MINUTELY)
    await anyio.sleep(90)
    with pytest.raises(StorageFull):
        await schedules.fire_once()
    monkeypatch.setattr(stage.store, "apply", apply)
    await schedules.fire_once()
    assert [each.name for each in schedules.all()] == ["new"]
    assert ("schedule_fired", "gone") not in await told(stage)
