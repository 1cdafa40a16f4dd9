"""What the daemon says about itself, and rows of a query."""

from __future__ import annotations

from jobkeep.cli.render.style import Style, state_colour, state_word
from jobkeep.cli.render.table import fields, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def status(reply: dict[str, Any], style: Style) -> list[str]:
    """The lines of `jobkeep daemon status`."""
    jobs = ", ".join(
        f"{number} {style.paint(state_word(state), state_colour(state))}"
        for state, number in (reply.get("jobs") or {}).items()
        if number
    )
    facts = [
        ("version", f"{escape(str(reply['version']))} (protocol {reply['protocol']})"),
        ("pid", str(reply["pid"])),
        ("up for", span(reply["uptime_s"])),
        ("memory", f"{reply['rss_bytes'] / 1048576:.0f} MiB"),
        ("jobs", jobs or "none"),
        ("locks", str(reply["locks"])),
        ("sessions", str(reply["sessions"])),
        ("socket", escape(reply["socket"])),
        ("state", escape(reply["state_dir"])),
        ("sqlite", escape(reply["sqlite_version"])),
    ]
    queues = [
        [(f"  {escape(name)}", None), *((str(queue[column]), None) for column in ("running", "queued", "limit"))]
        for name, queue in (reply.get("queues") or {}).items()
    ]
    lines = fields(facts, style)
    return [*lines, "", *table(("  QUEUE", "RUNNING", "QUEUED", "LIMIT"), queues, style)] if queues else lines


def query(columns: Sequence[str], rows: Sequence[Sequence[Any]], style: Style) -> list[str]:
    """Rows of a query as a table; NULL is empty."""
    cells = [[("" if value is None else escape(str(value)), None) for value in row] for row in rows]
    widest = max(range(len(columns)), key=lambda i: max((len(row[i][0]) for row in cells), default=0), default=0)
    return table([escape(column) for column in columns], cells, style, flexible=widest) if columns else []
