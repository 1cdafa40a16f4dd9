"""What the doctor has found: a row each, and beneath it what to do."""

from __future__ import annotations

from jobkeep.cli.render.style import DIM, GREEN, RED, YELLOW, Style
from jobkeep.cli.render.text import escape, wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobkeep.cli.diagnosis import Row

_LEVELS = {"ok": ("✓ ok", GREEN), "warning": ("! warning", YELLOW), "problem": ("✗ problem", RED)}


def lines(rows: Sequence[Row], style: Style, *, quiet: bool) -> list[str]:
    """With `quiet` only what is not ok."""
    shown = [row for row in rows if not quiet or row.level != "ok"]
    wide = max((len(row.name) for row in shown), default=0)
    found = []
    for row in shown:
        word, colour = _LEVELS[row.level]
        margin = " " * (len(f"{word:<9}") + wide + 4)
        room = None if style.width is None else max(style.width - len(margin), 20)
        first, *rest = wrapped(escape(row.says), room)
        found.append(f"{style.paint(f'{word:<9}', colour)}  {row.name:<{wide}}  {first}")
        found += [margin + line for line in rest]
        if row.hint:
            found += [margin + style.paint(line, DIM) for line in wrapped(f"→ {escape(row.hint)}", room, 2)]
    return found
