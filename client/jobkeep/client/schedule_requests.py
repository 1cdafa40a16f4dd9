"""Every request about schedules as a pure function of its arguments; both clients share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobkeep.client import routes, specs
from jobkeep.client.routes import NOTHING, Request
from jobkeep.protocol import schedules
from jobkeep.protocol.vocabulary import Missed, OnConflict


def listed() -> Request[schedules.ListReply]:
    """All schedules."""
    return Request[schedules.ListReply](routes.SCHEDULES, NOTHING)


def show(name: str) -> Request[schedules.ScheduleReply]:
    """One schedule."""
    return Request(routes.SCHEDULE, schedules.ScheduleParameters(name))


def add(
    name: str, cron: str, argv: Sequence[str], timezone: str, missed: Missed, on_conflict: OnConflict | None,
    replace: bool, options: Mapping[str, Any],
) -> Request[schedules.ScheduleReply]:  # fmt: skip
    """A command at each time that the expression names."""
    spec = specs.command(argv, options)
    return Request(
        routes.ADD_SCHEDULE, schedules.AddParameters(name, cron, spec, timezone, missed, on_conflict, replace)
    )


def pause(name: str, reason: str | None) -> Request[schedules.ScheduleReply]:
    """Fire it no more."""
    return Request(routes.PAUSE_SCHEDULE, schedules.ControlParameters(name, reason))


def resume(name: str, reason: str | None) -> Request[schedules.ScheduleReply]:
    """Fire it again."""
    return Request(routes.RESUME_SCHEDULE, schedules.ControlParameters(name, reason))


def remove(name: str, reason: str | None) -> Request[schedules.ScheduleReply]:
    """Forget it."""
    return Request(routes.REMOVE_SCHEDULE, schedules.ControlParameters(name, reason))


def trigger(name: str, request_id: str) -> Request[schedules.TriggerReply]:
    """Submit its job now."""
    return Request(routes.TRIGGER_SCHEDULE, schedules.TriggerParameters(name, request_id))
