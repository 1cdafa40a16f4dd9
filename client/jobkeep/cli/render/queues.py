"""Queues: a row for each, or a sentence."""

from __future__ import annotations

from jobkeep.cli.render.deeds import deed
from jobkeep.cli.render.style import DIM, YELLOW, Style
from jobkeep.cli.render.table import Cell, table
from jobkeep.cli.render.text import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Queue = dict[str, Any]


def rows(queues: Sequence[Queue], style: Style) -> list[str]:
    """The lines of `jobkeep queue ls`."""
    titles = ["QUEUE", "RUNNING", "LIMIT", "QUEUED", "SCHEDULED", "STATE"]
    return table(titles, [_row(queue, style) for queue in queues], style, flexible=5)


def _row(queue: Queue, style: Style) -> list[Cell]:
    words = _words(queue, style)
    return [
        (escape(queue["name"]), None),
        (str(queue["running"] or ""), None),
        (str(queue["limit"]), None),
        (str(queue["queued"] or ""), None),
        (str(queue["scheduled"] or ""), None),
        (words, YELLOW if queue.get("paused") else DIM),
    ]


def sentence(queue: Queue, style: Style) -> str:
    """`runs 1 of at most 2 jobs, 5 queued; paused by uid 1000 …`."""
    words = _words(queue, style)
    counts = f"runs {queue['running']} of at most {queue['limit']} jobs, {queue['queued']} queued"
    return style.paint(f"{counts}; {words}" if words else counts, YELLOW if queue.get("paused") else None)


def _words(queue: Queue, style: Style) -> str:
    said = []
    if queue.get("paused"):
        said.append(f"paused by {deed(queue['paused'], style)}")
    if queue.get("limited"):
        said.append(f"limit set by {deed(queue['limited'], style)}")
    if queue.get("configured") is None:
        said.append("not configured any more")
    return "; ".join(said)
