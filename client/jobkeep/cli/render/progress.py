"""Progress as text: a bar where there is a terminal, `done/total` elsewhere."""

from __future__ import annotations

from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span

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
        if running and elapsed and 0 < done < total:
            parts.append(f"about {span(elapsed * (total - done) / done)} left")
    return "  ".join(part for part in parts if part)


def tallies(progress: dict[str, Any]) -> str:
    """`217 added, 11 failed`, the most frequent first."""
    by_count = sorted((progress.get("tallies") or {}).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {escape(name)}" for name, number in by_count)
