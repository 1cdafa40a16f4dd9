"""Words, glyphs and times as the pages show them. A state is always glyph and word, and never a colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from jobkeep.wording import span

GLYPHS: Final = {
    "queued": "·", "scheduled": "◷", "running": "▶", "cancelling": "…", "succeeded": "✓", "failed": "✗",
    "cancelled": "⊘", "interrupted": "⊘", "lost": "?",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: `text` for people, `iso` for programs, `full` for whoever wants to know exactly."""

    text: str
    iso: str
    full: str


@dataclass(frozen=True, slots=True)
class State:
    """`tone` names its colour."""

    word: str
    glyph: str
    tone: str


def state(word: str, health: str = "ok") -> State:
    """A job's state, or the outcome of a run; what is late or stalled says so."""
    if health != "ok":
        return State(f"{word}, {health}", "!", "late")
    return State(word, GLYPHS.get(word, "?"), word)


def moment(at: datetime, now: datetime) -> Moment:
    """`3 min ago`, `in 3 min`, `just now`."""
    seconds = (now - at).total_seconds()
    text = "just now"
    if abs(seconds) >= 1.0:
        text = f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
    iso = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Moment(text, iso, iso.replace("T", " ").replace("Z", " UTC"))


def short(id: str) -> str:
    """An id as people see it."""
    return id[:8]


def number(count: int) -> str:
    """`12,345`."""
    return f"{count:,}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 job`, `12 jobs`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """`3.4 MiB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
