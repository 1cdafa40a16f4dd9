"""The steps of schedules."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from msgspec.structs import replace

from jobkeepd.core.authz import NotYours
from jobkeepd.core.firing import Schedule, obey, redefined
from jobkeepd.errors import (
    AmbiguousJob,
    KeyTaken,
    LockTaken,
    ScheduleConflict,
    TooManyParents,
    UnknownJob,
    UnknownSchedule,
)
from jobkeepd.store.changes import NewJob, SubmitJobs, Submitted
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.schedule_changes import ControlSchedule, FireSchedule, PutSchedule, RemoveSchedule
from jobkeepd.store.submit_steps import submit_jobs

_REFUSED = (KeyTaken, LockTaken, NotYours, UnknownJob, AmbiguousJob, TooManyParents)
LABEL = "schedule"  # of every job of one


def put_schedule(change: PutSchedule, ledger: Ledger) -> Schedule:
    before = ledger.schedule(change.name)
    if before is not None and not change.replace:
        raise ScheduleConflict(change.name, "there is one of that name")
    if before is not None and before.terms.configured and not change.terms.configured:
        raise ScheduleConflict(change.name, "it is in the configuration: change it there")
    if before is not None and before.terms == change.terms:
        return before
    after = redefined(before, change.name, change.terms, change.at)
    if change.environments:
        ledger.add((), change.environments)
    ledger.put_schedule(after)
    kind = "schedule_added" if before is None else "schedule_changed"
    ledger.log(kind, change.at, by=change.by, data={LABEL: change.name})
    return after


def control_schedule(change: ControlSchedule, ledger: Ledger) -> Schedule:
    before = _found(change.name, ledger)
    after = obey(before, change.order, change.deed)
    if after is not before:
        ledger.put_schedule(after)
        deed = change.deed
        _log(f"schedule_{change.order}d", change.name, deed.at, ledger, deed.by, reason=deed.reason)
    return after


def remove_schedule(change: RemoveSchedule, ledger: Ledger) -> Schedule:
    schedule = _found(change.name, ledger)
    if schedule.terms.configured != change.configured:
        there = "it is in the configuration: remove it there, and pause it till the daemon's next start"
        raise ScheduleConflict(change.name, there if schedule.terms.configured else "people have added it")
    ledger.remove_schedule(change.name)
    _log("schedule_removed", change.name, change.at, ledger, change.by, reason=change.reason)
    return schedule


def fire_schedule(change: FireSchedule, ledger: Ledger) -> tuple[Schedule | None, Submitted | None]:
    schedule = ledger.schedule(change.name)
    if schedule is None or schedule.cursor != change.cursor or schedule.paused is not None:
        return schedule, None
    submitted, reason = None, change.reason
    if change.id is not None:
        try:
            submitted = submit_jobs(_submit(schedule, change, change.id), ledger)
        except _REFUSED as error:  # before it wrote anything
            reason = str(error)
    settled = replace(schedule, cursor=change.nominal)
    facts: dict[str, Any] = {"nominal_at": change.nominal, "skipped": change.skipped or None}
    if submitted is None:
        ledger.put_schedule(settled)
        _log("schedule_skipped", change.name, change.at, ledger, reason=reason, **facts)
        return settled, None
    job = submitted.ids[0]
    fired = replace(settled, last_at=change.nominal, last_job=job)
    ledger.put_schedule(fired)
    _log("schedule_fired", change.name, change.at, ledger, job=job, **facts)
    return fired, submitted


def _submit(schedule: Schedule, change: FireSchedule, id: str) -> SubmitJobs:
    """The request id makes it the same submit for the same time, whatever becomes of the schedule meanwhile."""
    terms = schedule.terms
    return SubmitJobs(
        jobs=(new_job(schedule, id),),
        by=terms.owner,
        at=change.at,
        request=f"schedule:{schedule.name}:{change.nominal:.0f}",
        on_conflict=terms.on_conflict,
        others=terms.others,
        now=change.now,
        rules=change.rules,
        limits=change.limits,
    )


def new_job(schedule: Schedule, id: str) -> NewJob:
    """One that the schedule makes."""
    spec = schedule.terms.spec
    name = schedule.name if spec.name is None else spec.name
    spec = structs.replace(spec, name=name, labels={**spec.labels, LABEL: schedule.name})
    return NewJob(id, spec, schedule.terms.environment)


def _found(name: str, ledger: Ledger) -> Schedule:
    schedule = ledger.schedule(name)
    if schedule is None:
        raise UnknownSchedule(name)
    return schedule


def _log(kind: str, name: str, at: float, ledger: Ledger, by: Any = None, job: str | None = None, **data: Any) -> None:
    said = {key: value for key, value in data.items() if value is not None}
    ledger.log(kind, at, None if job is None else ledger.job(job), by=by, data={LABEL: name, **said})
