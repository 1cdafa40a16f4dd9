"""Many jobs: a row for each."""

from __future__ import annotations

from jobkeep.cli.render.progress import brief, left
from jobkeep.cli.render.style import DIM, Style, state_colour, state_word
from jobkeep.cli.render.table import Cell, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


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
    return table(titles, cells, style, flexible=2, spare=spare)


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
