"""Words that every interface uses alike: safe text, durations, and why a run ended. Standard library only."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself is not cheap to import
if TYPE_CHECKING:
    from typing import Any

_LONGEST_ERROR = 500  # characters of a line


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


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2 d`: two digits are enough for people."""
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3570:
        return f"{seconds / 60:.0f} min"
    if seconds < 35820:
        return f"{seconds / 3600:.1f} h"
    if seconds < 84600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.1f} d" if seconds < 9.95 * 86400 else f"{seconds / 86400:.0f} d"


def left(done: int, total: int | None, elapsed: float | None) -> str:
    """How long what runs will still take at its pace: `12 min`. Empty when there is no telling."""
    return span(elapsed * (total - done) / done) if elapsed and total and 0 < done < total else ""


def signal_name(number: int) -> str:
    """`signal 9 (SIGKILL)`."""
    import signal

    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def error_line(error: dict[str, Any]) -> str:
    """`Type: message` on one line."""
    message = escape(str(error.get("message") or "").strip())
    kind = escape(str(error.get("type") or "Error"))
    line = f"{kind}: {message}" if message else kind
    return line if len(line) <= _LONGEST_ERROR else line[: _LONGEST_ERROR - 1] + "…"


def cause(outcome: dict[str, Any] | None, kind: str) -> str:
    """What is known about an end that was no success; empty when nothing is. `kind`: command or function."""
    if not outcome:
        return ""
    if outcome.get("error"):
        return error_line(outcome["error"])
    plain, reason = _plainly(outcome, kind), escape(outcome.get("reason") or "")
    # The daemon's reason may be the plain fact, or say what led to it, which is of more use.
    return plain if reason in plain else reason


def told_after(state: str, why: str) -> str:
    """A cause behind the state that it has brought about, which need not be said twice."""
    return why.removeprefix("cancelled ") if state == "cancelled" else why


def _plainly(outcome: dict[str, Any], kind: str) -> str:
    if outcome.get("signal") is not None:
        return f"{'worker' if kind == 'function' else 'command'} ended by {signal_name(outcome['signal'])}"
    if outcome.get("exit_code"):
        return f"exit code {outcome['exit_code']}"
    return "nobody saw how it ended" if outcome.get("kind") == "lost" else ""
