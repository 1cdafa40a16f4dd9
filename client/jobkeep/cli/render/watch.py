"""Jobs that are watched: one at length, a line for each change, and the end of what a job has printed."""

from __future__ import annotations

import re

from jobkeep.cli.render.job import sentence
from jobkeep.cli.render.progress import full, tallies
from jobkeep.cli.render.style import BOLD, DIM, Style
from jobkeep.cli.render.table import fields
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Job = dict[str, Any]

_SEQUENCE = re.compile(r"\x1b(\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\))")  # colours, cursors and titles


def one(job: Job, tail: dict[str, list[str]], style: Style, rows: int) -> list[str]:
    """A job with its bar, note and tallies, and as much of the end of its output as there is room for."""
    progress = job.get("progress") or {}
    failed = progress.get("failed_items") or 0
    facts = [
        ("progress", full(progress, job.get("elapsed_s"), job["state"] == "running", style.tty)),
        ("tallies", tallies(progress)),
        ("failed", f"{failed} {'item' if failed == 1 else 'items'}" if failed else ""),
        ("note", escape(progress.get("note") or "")),
    ]
    title = style.paint(escape(job["name"]), BOLD) + "  " + style.paint(style.id(job["id"]), DIM)
    lines = [title, sentence(job, style), *fields(facts, style)]
    streams = [(stream, said) for stream, said in tail.items() if said]
    for index, (stream, said) in enumerate(streams):
        room = (rows - len(lines)) // (len(streams) - index) - 2  # the blank line and the title
        if room > 0:
            lines += ["", style.paint(stream, DIM), *said[-room:]]
    return lines


def change(job: Job, style: Style) -> str:
    """`2026-03-01T11:45:00Z  k3x9a0b1  backup  ▶ running for 12 min  3/10  30%`."""
    progress = job.get("progress") or {}
    how_far = full(progress, job.get("elapsed_s"), job["state"] == "running", False)
    parts = [iso(style.now), style.id(job["id"]), escape(job["name"]), sentence(job, style), how_far]
    parts.append(escape(progress.get("note") or ""))
    return "  ".join(part for part in parts if part)


def tail(data: bytes) -> list[str]:
    """The lines of an output as a terminal would have left them: without colours, the last of what overwrote itself."""
    text = _SEQUENCE.sub("", data.decode(errors="replace"))
    lines = text.removesuffix("\n").split("\n") if text else []
    return [escape(line.rstrip("\r").rpartition("\r")[2].expandtabs()) for line in lines]


def more(hidden: int, style: Style) -> Sequence[str]:
    """What a table had no room for."""
    return [style.paint(f"and {hidden} more", DIM)] if hidden else []
