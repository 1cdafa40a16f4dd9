"""What somebody has done to a queue or a schedule as a whole."""

from __future__ import annotations

from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.render.style import Style


def deed(done: dict[str, Any], style: Style) -> str:
    """`uid 1000, 5 min ago: disk is being replaced`."""
    why = f": {escape(done['reason'])}" if done.get("reason") else ""
    return f"uid {done['uid']}, {when(done['at'], style.now, style.tty)}{why}"
