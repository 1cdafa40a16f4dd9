"""Progress as text: a bar where there is a terminal, `done/total` elsewhere."""

from __future__ import annotations

from jobkeep import wording
from jobkeep.cli.render.text import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(done: int, total: int, columns: int) -> str:
    """`columns` wide, filled in eighths of a column."""
    eighths = min(max(done, 0) * columns * 8 // max(total, 1), columns * 8)
    full, part = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[part] if part else "")
    return filled + "░" * (columns - len(filled))


def counts(progress: dict[str, Any]) -> str:
    """`217/360`, `217` without a total, nothing before the first item."""
    done, total = progress.get("done") or 0, progress.get("total")
    if total is None:
        return str(done) if done else ""
    return f"{done}/{total}"


def brief(progress: dict[str, Any], tty: bool) -> str:
    """For a row of a table."""
    text = counts(progress)
    done, total = progress.get("done") or 0, progress.get("total")
    return f"{bar(done, total, 10)} {text}" if tty and total else text


def full(progress: dict[str, Any], elapsed: float | None, running: bool, tty: bool) -> str:
    """With percentage and, while it runs, the time that is left at this pace."""
    done, total = progress.get("done") or 0, progress.get("total")
    parts = [brief(progress, False)]
    if total:
        if tty:
            parts.insert(0, bar(done, total, 24))
        parts.append(f"{min(done / total, 1.0):.0%}")
        if remaining := left(progress, elapsed, running):
            parts.append(f"about {remaining} left")
    return "  ".join(part for part in parts if part)


def left(progress: dict[str, Any], elapsed: float | None, running: bool) -> str:
    """How long it will take at this pace: `12 min`. Empty when there is no telling."""
    return wording.left(progress.get("done") or 0, progress.get("total"), elapsed) if running else ""


def tallies(progress: dict[str, Any]) -> str:
    """`217 added, 11 failed`, the most frequent first."""
    by_count = sorted((progress.get("tallies") or {}).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {escape(name)}" for name, number in by_count)
