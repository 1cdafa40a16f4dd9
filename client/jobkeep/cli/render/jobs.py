"""Many jobs: a row for each."""

from __future__ import annotations

from jobkeep.cli.render.progress import brief
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
    cells = [_row(job, style, queues) for job in jobs]
    if queues:
        titles.append("QUEUE")
    return table(titles, cells, style, flexible=2, spare=(6, 4, 3) if queues else (4, 3))


def _row(job: dict[str, Any], style: Style, queue: bool) -> list[Cell]:
    state, health = job["state"], job.get("health", "ok")
    moment = job.get("ended_at") or job.get("started_at") or job["created_at"]
    due = state == "scheduled" and job.get("due_at")
    cells: list[Cell] = [
        (style.id(job["id"]), None),
        (state_word(state, health), state_colour(state, health)),
        (escape(job["name"]), None),
        (brief(job.get("progress") or {}, style.tty), None),
        (span(job["elapsed_s"]) if job.get("elapsed_s") is not None else "", None),
        ("due " + when(job["due_at"], style.now, style.tty) if due else when(moment, style.now, style.tty), DIM),
    ]
    if queue:
        cells.append((escape(job["queue"]) if job["queue"] != "default" else "", None))
    return cells
