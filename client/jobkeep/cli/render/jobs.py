"""Many jobs: a row for each."""

from __future__ import annotations

from jobkeep.cli.render.outcome import cause, told_after
from jobkeep.cli.render.progress import brief, counts, left
from jobkeep.cli.render.style import DIM, Style, state_colour, state_word
from jobkeep.cli.render.table import GAP, Cell, table
from jobkeep.cli.render.text import clip, escape, width
from jobkeep.cli.render.times import span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


_PROGRESS = 3  # the column
_SHORTEST, _LONGEST = 16, 40  # columns of a reason: on a narrow terminal, and where there is none


def rows(jobs: Sequence[dict[str, Any]], style: Style) -> list[str]:
    """The lines of `jobkeep ls`. The queue is shown only where one is not the default."""
    titles = ["ID", "STATE", "NAME", "PROGRESS", "ELAPSED", "SINCE" if not style.tty else "AGE"]
    queues = any(job["queue"] != "default" for job in jobs)
    cells = [_row(job, style) for job in jobs]
    spare = [4, 3]
    if queues:
        titles.append("QUEUE")
        spare.insert(0, 6)
        for job, row in zip(jobs, cells, strict=True):
            row.append((escape(job["queue"]) if job["queue"] != "default" else "", None))
    if style.tty and any(remaining := [_left(job) for job in jobs]):
        spare.insert(0, len(titles))
        titles.append("LEFT")
        for row, text in zip(cells, remaining, strict=True):
            row.append((text, DIM))
    room = _room(titles, cells, style)
    for job, row in zip(jobs, cells, strict=True):
        if reason := _reason(job):
            row[_PROGRESS] = (clip(reason, room), None)
    return table(titles, cells, style, flexible=2, spare=spare)


def _room(titles: Sequence[str], cells: Sequence[Sequence[Cell]], style: Style) -> int:
    """For reasons: what the other columns leave, so that none has to go for them."""
    if style.width is None:
        return 1000 if style.whole_ids else _LONGEST
    widths = [max([width(title), *(width(row[i][0]) for row in cells)]) for i, title in enumerate(titles)]
    return max(style.width - sum(widths) + widths[_PROGRESS] - GAP * (len(widths) - 1), widths[_PROGRESS], _SHORTEST)


def _reason(job: dict[str, Any]) -> str:
    """Why it ended, or is not started, behind how far it is; empty where the bar says more."""
    done, waits = counts(job.get("progress") or {}), job["state"] in ("queued", "scheduled")
    if job["state"] in ("failed", "cancelled") or (waits and job.get("outcome")):
        why = told_after(job["state"], cause(job.get("outcome"), job["kind"]))
    else:
        why = "" if done else escape(job.get("health_reason") or "")
    if job.get("held"):
        why = escape(job["held"]).removeprefix("it ")
    return f"{done}  {why}" if done and why else why


def _left(job: dict[str, Any]) -> str:
    return left(job.get("progress") or {}, job.get("elapsed_s"), job["state"] == "running")


def _row(job: dict[str, Any], style: Style) -> list[Cell]:
    state, health = job["state"], job.get("health", "ok")
    moment = job.get("ended_at") or job.get("started_at") or job["created_at"]
    due = state == "scheduled" and job.get("due_at")
    return [
        (style.id(job["id"]), None),
        (state_word(state, health), state_colour(state, health)),
        (escape(job["name"]), None),
        (brief(job.get("progress") or {}, style.tty), None),
        (span(job["elapsed_s"]) if job.get("elapsed_s") is not None else "", None),
        ("due " + when(job["due_at"], style.now, style.tty) if due else when(moment, style.now, style.tty), DIM),
    ]
