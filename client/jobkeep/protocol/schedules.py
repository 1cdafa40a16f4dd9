"""The interface org.jobkeep.Schedules: jobs that are submitted again and again, by the calendar."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from jobkeep.protocol.interface import Interface, Method, Nothing
from jobkeep.protocol.jobs import JobSpec, ShownSpec
from jobkeep.protocol.queues import Deed
from jobkeep.protocol.vocabulary import JobState, Missed, Name, OnConflict, RequestId, Text

Cron = Annotated[str, Meta(min_length=1, max_length=256)]


class Fired(Struct, frozen=True):
    """The time that was fired last, and its job."""

    at: datetime
    job: str


class Schedule(Struct, frozen=True, kw_only=True):
    """A schedule as people see it. `next` are the next three times, none while it is paused."""

    name: str
    cron: str
    timezone: str
    missed: Missed
    on_conflict: OnConflict | None
    configured: bool  # in the configuration; the others were added by people
    paused: Deed | None
    next: list[datetime]
    last: Fired | None
    spec: ShownSpec


class ScheduleParameters(Struct, forbid_unknown_fields=True):
    name: Name


class AddParameters(Struct, forbid_unknown_fields=True):
    """Five fields, and in which time zone; `missed`: what becomes of times at which nobody could fire it.

    `spec.key` and `on_conflict` say what becomes of a job whose predecessor lives on.
    """

    name: Name
    cron: Cron
    spec: JobSpec
    timezone: Annotated[str, Meta(min_length=1, max_length=128)] = "UTC"
    missed: Missed = "run_once"
    on_conflict: OnConflict | None = None
    replace: bool = False  # change one that there is


class ControlParameters(Struct, forbid_unknown_fields=True):
    name: Name
    reason: Text | None = None


class TriggerParameters(Struct, forbid_unknown_fields=True):
    name: Name
    request_id: RequestId | None = None


class ScheduleReply(Struct):
    schedule: Schedule


class ListReply(Struct):
    schedules: list[Schedule]


class TriggerReply(Struct):
    id: str
    state: JobState
    created: bool


INTERFACE = Interface(
    "org.jobkeep.Schedules",
    "Jobs by the calendar. Each time that a schedule names is fired once at most, also across crashes and sleep.",
    methods=(
        Method("List", Nothing, ListReply, "All schedules, by name."),
        Method("Show", ScheduleParameters, ScheduleReply, "One schedule."),
        Method("Add", AddParameters, ScheduleReply, "Submit a job at each time that it names, from now on. Durable."),
        Method("Pause", ControlParameters, ScheduleReply, "Fire it no more. What is due meanwhile is not made up for."),
        Method("Resume", ControlParameters, ScheduleReply, "Fire it again, from now on."),
        Method("Trigger", TriggerParameters, TriggerReply, "Submit its job now, beside its times."),
        Method("Remove", ControlParameters, ScheduleReply, "Its jobs stay."),
    ),
)
