"""Text that is safe and fits: control characters escaped, cut by columns rather than by characters."""

from __future__ import annotations

from jobkeep.wording import escape as escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def json_text(value: Any, encoding: str | None) -> str:
    """JSON that people can read: letters stay as they are, what `escape` would change becomes a JSON escape."""
    import json

    readable = (encoding or "").lower().startswith("utf")
    text = json.dumps(value, ensure_ascii=not readable)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


_NARROW = frozenset("·◷▶…✓✗⊘░▏▎▍▌▋▊▉█")  # our own glyphs need no look-up


def width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if character < "\u0300" or character in _NARROW:
        return 1
    import unicodedata

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, columns: int) -> str:
    """At most `columns` wide; an ellipsis tells what was cut."""
    if width(text) <= columns:
        return text
    room = columns - 1
    kept = []
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "…" if columns > 0 else ""


def pad(text: str, columns: int) -> str:
    """At least `columns` wide."""
    return text + " " * (columns - width(text))


def wrapped(text: str, columns: int | None, indent: int = 0) -> list[str]:
    """Lines of whole words, those behind the first indented; None: one line. A word that is too long is left so."""
    if columns is None or width(text) <= columns:
        return [text]
    line, *words = text.split(" ")
    lines = []
    for word in words:
        if line.strip() and width(line) + 1 + width(word) > columns:
            lines.append(line)
            line = " " * indent + word
        else:
            line += f" {word}"
    return [*lines, line]
