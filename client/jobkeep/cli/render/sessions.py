"""Sessions: a row for each."""

from __future__ import annotations

from jobkeep.cli.render.locks import holder
from jobkeep.cli.render.style import CYAN, DIM, GREEN, RED, YELLOW, Style
from jobkeep.cli.render.table import Cell, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Session = dict[str, Any]

_LOOKS = {
    "starting": ("◷", YELLOW),
    "ready": ("✓", GREEN),
    "in_use": ("▶", CYAN),
    "dead": ("✗", RED),
    "closed": ("·", DIM),
}


def rows(sessions: Sequence[Session], style: Style) -> list[str]:
    """The lines of `jobkeep session ls`."""
    titles = ["NAME", "STATE", "PID", "USED BY", "WAITING", "SINCE" if not style.tty else "AGE", "JOB", "HEALTH"]
    return table(titles, [_row(session, style) for session in sessions], style, flexible=7, spare=(4, 6))


def _row(session: Session, style: Style) -> list[Cell]:
    glyph, colour = _LOOKS.get(str(session.get("state")), ("?", None))
    health, reason = str(session.get("health") or "unknown"), session.get("reason")
    if session.get("state") in ("dead", "closed"):
        health, reason = str(reason or ""), None
    return [
        (escape(str(session["name"])), None),
        (f"{glyph} {session.get('state')}", colour),
        (str(session.get("pid") or ""), None),
        (holder(session["in_use_by"], style) if session.get("in_use_by") else "", None),
        (str(session.get("waiting") or ""), None),
        (when(session["started_at"], style.now, style.tty) if session.get("started_at") else "", DIM),
        (style.id(str(session["job"])) if session.get("job") else "", DIM),
        (escape(f"{health}: {reason}" if reason else health), RED if health == "failing" else None),
    ]
