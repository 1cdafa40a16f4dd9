"""Schedules in the store: what they fire, and what they have settled, in one commit."""

from __future__ import annotations

import pytest

from contract.deeds import ALICE, BOOT, Heard, submit
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.firing import Order, Schedule, Terms
from jobkeepd.core.model import Moment
from jobkeepd.core.queueing import Deed
from jobkeepd.errors import ScheduleConflict, UnknownSchedule
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import Submitted
from jobkeepd.store.schedule_changes import ControlSchedule, FireSchedule, PutSchedule, RemoveSchedule

pytestmark = pytest.mark.anyio


def putting(*, at: float = 1.0, cron: str = "* * * * *", key: str | None = None, **more: bool) -> PutSchedule:
    spec = JobSpec(command=["true"], key=key)
    terms = Terms(
        cron=cron, timezone="UTC", spec=spec, environment=None, owner=ALICE, configured=more.get("configured", False)
    )
    return PutSchedule(name="s", terms=terms, by=ALICE, at=at, replace=more.get("replace", False))


def firing(cursor: float, nominal: float, id: str | None) -> FireSchedule:
    return FireSchedule(name="s", cursor=cursor, nominal=nominal, at=nominal, now=Moment(BOOT, nominal), id=id)


def controlling(order: Order, at: float) -> ControlSchedule:
    return ControlSchedule(name="s", order=order, deed=Deed(ALICE, at, "why"))


async def stored(store: Store) -> Schedule:
    (schedule,) = await store.schedules()
    return schedule


async def test_a_time_is_fired_once_by_whomever(store: Store, heard: Heard) -> None:
    """Whoever comes with a cursor that is not the schedule's any more does nothing."""
    assert (await store.apply(putting())).cursor == 1.0
    schedule, done = await store.apply(firing(1.0, 60.0, "a1"))
    assert isinstance(done, Submitted)
    assert schedule == await stored(store)
    assert await store.apply(firing(1.0, 60.0, "a2")) == (schedule, None)
    assert [job.id for job in await store.list(JobFilter())] == ["a1"]
    job = await store.get("a1")
    assert (job.spec.name, job.spec.labels, job.owner) == ("s", {"schedule": "s"}, ALICE.uid)
    schedule = await stored(store)
    assert (schedule.cursor, schedule.last_at, schedule.last_job) == (60.0, 60.0, "a1")
    assert heard.kinds("a1") == ["submitted", "schedule_fired"]


async def test_a_time_stays_fired_when_the_schedule_is_made_anew(store: Store) -> None:
    """Also where the clock was set back meanwhile: the request id is the schedule's and the time's."""
    await store.apply(putting())
    await store.apply(firing(1.0, 60.0, "a1"))
    await store.apply(RemoveSchedule(name="s", by=ALICE, at=70.0))
    await store.apply(putting(at=2.0))
    _, done = await store.apply(firing(2.0, 60.0, "a2"))
    assert isinstance(done, Submitted)
    assert (done.ids, done.created) == (("a1",), False)


async def test_a_job_whose_predecessor_lives_is_left_out_and_that_is_on_record(store: Store, heard: Heard) -> None:
    """Its time is settled all the same."""
    await store.apply(putting(key="k"))
    await submit(store, "other", key="k")
    schedule, done = await store.apply(firing(1.0, 60.0, "a1"))
    assert schedule == await stored(store)
    assert (schedule.cursor, schedule.last_job, done) == (60.0, None, None)
    entry = heard.entries[-1]
    assert (entry.kind, entry.data["schedule"], entry.data["nominal_at"]) == ("schedule_skipped", "s", 60.0)
    assert "k" in entry.data["reason"]


async def test_a_paused_schedule_fires_nothing_and_resumes_from_then_on(store: Store, heard: Heard) -> None:
    """Who paused it is kept; a firing that was on the way comes to nothing."""
    await store.apply(putting())
    paused = await store.apply(controlling("pause", 5.0))
    assert paused.paused == Deed(ALICE, 5.0, "why")
    assert await store.apply(firing(1.0, 60.0, "a1")) == (paused, None)
    await store.apply(controlling("resume", 100.0))
    assert (await stored(store)).cursor == 100.0
    assert [entry.kind for entry in heard.entries] == ["schedule_added", "schedule_paused", "schedule_resumed"]


async def test_a_name_is_taken_unless_it_is_to_be_replaced(store: Store) -> None:
    """And what the configuration says, people do not change or remove."""
    await store.apply(putting())
    with pytest.raises(ScheduleConflict):
        await store.apply(putting(cron="0 0 * * *"))
    assert (await store.apply(putting(cron="0 0 * * *", at=9.0, replace=True))).cursor == 9.0
    await store.apply(putting(replace=True, configured=True))
    for change in (putting(replace=True), RemoveSchedule(name="s", by=ALICE, at=2.0)):
        with pytest.raises(ScheduleConflict, match="configuration"):
            await store.apply(change)  # type: ignore[arg-type]
    assert (await stored(store)).terms.configured
    await store.apply(RemoveSchedule(name="s", by=ALICE, at=2.0, configured=True))
    await store.apply(putting())
    with pytest.raises(ScheduleConflict, match="people"):
        await store.apply(RemoveSchedule(name="s", by=ALICE, at=2.0, configured=True))


async def test_one_that_there_is_not_is_unknown(store: Store) -> None:
    """Not an error of the store."""
    for change in (controlling("pause", 5.0), RemoveSchedule(name="s", by=ALICE, at=2.0)):
        with pytest.raises(UnknownSchedule):
            await store.apply(change)
    assert await store.apply(firing(1.0, 60.0, "a1")) == (None, None)
