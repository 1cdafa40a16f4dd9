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
    reason = escape(outcome.get("reason") or "")
    if outcome.get("error"):
        what = error_line(outcome["error"])
    elif outcome.get("signal") is not None:
        who = "worker" if kind == "function" else "command"
        what = f"{who} ended by {signal_name(outcome['signal'])}"
    elif outcome.get("exit_code"):
        what = f"exit code {outcome['exit_code']}"
    elif outcome.get("kind") == "lost":
        what = "nobody saw how it ended"
    else:
        return reason
    return f"{what} ({reason})" if reason and reason not in what else what
