"""The page of queues and schedules: what runs and waits in each, and what comes when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobkeep.protocol.queues import Deed, Queue
from jobkeep.protocol.schedules import Schedule
from jobkeep.web.model import job_page, words
from jobkeep.web.model.words import Moment
from jobkeep.wording import escape


@dataclass(frozen=True, slots=True)
class QueueRow:
    name: str
    address: str
    limit: int
    limited: str  # that of the configuration, and who has set another
    running: str
    queued: str
    scheduled: str
    paused: str
    full: bool


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    name: str
    cron: str
    timezone: str
    what: str
    next: list[Moment]
    last: Moment | None
    job: str
    paused: str
    configured: bool


def queues(found: Sequence[Queue], now: datetime) -> list[QueueRow]:
    """By name."""
    return [_queue(queue, now) for queue in sorted(found, key=lambda queue: queue.name)]


def _queue(queue: Queue, now: datetime) -> QueueRow:
    limited = ""
    if queue.configured is None:
        limited = "not in the configuration any more"
    elif queue.configured != queue.limit:
        limited = f"configured: {queue.configured}" + (f"; set {_deed(queue.limited, now)}" if queue.limited else "")
    return QueueRow(
        name=queue.name,
        address=f"/jobs?state=all&queue={queue.name}",
        limit=queue.limit,
        limited=limited,
        running=words.number(queue.running),
        queued=words.number(queue.queued),
        scheduled=words.number(queue.scheduled),
        paused=f"paused {_deed(queue.paused, now)}" if queue.paused else "",
        full=queue.running >= queue.limit and queue.queued > 0,
    )


def _deed(deed: Deed, now: datetime) -> str:
    """Who, when and why."""
    why = f": {escape(deed.reason)}" if deed.reason else ""
    return f"{words.moment(deed.at, now).text} by uid {deed.uid}{why}"


def schedules(found: Sequence[Schedule], now: datetime) -> list[ScheduleRow]:
    """By name. Times are told as those of the schedule's own zone."""
    return [_schedule(schedule, now) for schedule in found]


def _schedule(schedule: Schedule, now: datetime) -> ScheduleRow:
    return ScheduleRow(
        name=schedule.name,
        cron=schedule.cron,
        timezone=schedule.timezone,
        what=job_page.command(schedule.spec),
        next=[_local(at, schedule.timezone, now) for at in schedule.next],
        last=words.moment(schedule.last.at, now) if schedule.last else None,
        job=schedule.last.job if schedule.last else "",
        paused=f"paused {_deed(schedule.paused, now)}" if schedule.paused else "",
        configured=schedule.configured,
    )


def _local(at: datetime, timezone: str, now: datetime) -> Moment:
    """`Fri 27 Nov, 02:00`, and how far away that is."""
    try:
        local = at.astimezone(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        local = at.astimezone(UTC)
    moment = words.moment(at, now)
    return Moment(f"{local:%a %d %b, %H:%M}", moment.iso, f"{moment.text}: {moment.full}")
