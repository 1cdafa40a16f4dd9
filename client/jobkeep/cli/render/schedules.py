"""Schedules: a row for each, or one at length."""

from __future__ import annotations

from jobkeep.cli.render.deeds import deed
from jobkeep.cli.render.job import what
from jobkeep.cli.render.style import BOLD, DIM, YELLOW, Style
from jobkeep.cli.render.table import Cell, fields, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Schedule = dict[str, Any]


def rows(schedules: Sequence[Schedule], style: Style) -> list[str]:
    """The lines of `jobkeep schedule ls`."""
    titles = ["SCHEDULE", "CRON", "TIMEZONE", "NEXT", "LAST", "FROM", "COMMAND"]
    return table(titles, [_row(schedule, style) for schedule in schedules], style, flexible=6, spare=(2, 5))


def _row(schedule: Schedule, style: Style) -> list[Cell]:
    paused = schedule.get("paused")
    return [
        (escape(schedule["name"]), None),
        (escape(schedule["cron"]), None),
        (escape(schedule["timezone"]), DIM),
        ("paused" if paused else _next(schedule, style), YELLOW if paused else None),
        (_last(schedule, style), DIM),
        ("configuration" if schedule.get("configured") else "people", DIM),
        (what(schedule.get("spec") or {}), None),
    ]


def _next(schedule: Schedule, style: Style) -> str:
    return ", ".join(when(at, style.now, style.tty) for at in schedule.get("next") or ()) or "never"


def _last(schedule: Schedule, style: Style) -> str:
    last = schedule.get("last")
    return f"{when(last['at'], style.now, style.tty)} {style.id(last['job'])}" if last else ""


def show(schedule: Schedule, style: Style) -> list[str]:
    """All lines of `jobkeep schedule show`."""
    spec, paused = schedule.get("spec") or {}, schedule.get("paused")
    overlap = (schedule.get("on_conflict") or "reject").replace("_", "-") if spec.get("key") else ""
    facts = [
        ("cron", f"{escape(schedule['cron'])}, {escape(schedule['timezone'])}"),
        ("next", "" if paused else _next(schedule, style)),
        ("paused", f"by {deed(paused, style)}" if paused else ""),
        ("last", _last(schedule, style)),
        ("missed", escape(schedule["missed"])),
        ("command", what(spec)),
        ("directory", escape(spec.get("cwd") or "")),
        ("queue", escape(spec.get("queue") or "default")),
        ("key", f"{escape(spec['key'])}, {overlap}" if spec.get("key") else ""),
        ("from", "the configuration" if schedule.get("configured") else "people"),
    ]
    return [style.paint(escape(schedule["name"]), BOLD), *fields(facts, style)]
