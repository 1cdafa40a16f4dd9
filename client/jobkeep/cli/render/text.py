"""Text that is safe and fits: control characters escaped, cut by columns rather than by characters."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def escape(text: str) -> str:
    """Nothing that moves the cursor, changes the terminal or reorders a line gets through."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if named:
        return named
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


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
