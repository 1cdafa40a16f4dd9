"""Why a run ended, in words."""

from __future__ import annotations

from jobkeep.cli.render.text import clip, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
    return clip(f"{kind}: {message}" if message else kind, 500)


def cause(outcome: dict[str, Any] | None, kind: str) -> str:
    """What is known about an end that was no success; empty when nothing is. `kind`: command or function."""
    if not outcome:
        return ""
    if outcome.get("error"):
        return error_line(outcome["error"])
    plain, reason = _plainly(outcome, kind), escape(outcome.get("reason") or "")
    # The daemon's reason may be the plain fact, or say what led to it, which is of more use.
    return plain if reason in plain else reason


def _plainly(outcome: dict[str, Any], kind: str) -> str:
    if outcome.get("signal") is not None:
        return f"{'worker' if kind == 'function' else 'command'} ended by {signal_name(outcome['signal'])}"
    if outcome.get("exit_code"):
        return f"exit code {outcome['exit_code']}"
    return "nobody saw how it ended" if outcome.get("kind") == "lost" else ""
