"""Why a run ended, in words and as an exit status."""

from __future__ import annotations

from jobkeep.cli.failures import FAILED, NO_COMMAND, NO_EXEC, OK, TIMED_OUT
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


def status(job: dict[str, Any]) -> int:
    """The exit status that stands for the end of a job: the command's own, 128+N for a signal; else 0 or 1."""
    if job["state"] == "succeeded":
        return OK
    outcome = job.get("outcome") or {}
    reason = outcome.get("reason") or ""
    if outcome.get("kind") == "failed" and reason.startswith("timed out after "):
        return TIMED_OUT
    if job["kind"] != "command":
        return FAILED
    if outcome.get("signal"):
        return 128 + int(outcome["signal"])
    return int(outcome.get("exit_code") or 0) or _of_start(reason)


def _of_start(reason: str) -> int:
    """As shells have it, for a command that could not be started."""
    if reason.startswith("command not found: "):
        return NO_COMMAND
    shut = reason.startswith(("permission denied: ", "the interpreter that ")) or reason.endswith(" is a directory")
    return NO_EXEC if shut or " cannot be executed: " in reason else FAILED


def advice(job: dict[str, Any], shown: str) -> str:
    """What to do about a failed job, for a hint."""
    error = (job.get("outcome") or {}).get("error") or {}
    message = str(error.get("message") or "")
    if error.get("type") == "TypeError" and message.startswith("argument '") and ", got `" in message:
        name, expected = message.split("'")[1], message.partition("Expected ")[2].partition(",")[0]
        if "`str" in expected:
            return f"""for text that looks like JSON write a JSON string: {name}='"123"'"""
        if "`bool" in expected:
            return f"true and false are written in lower case: {name}=true"
        return "a VALUE is taken as JSON if it is JSON, else as text: jobkeep call --help"
    return f"jobkeep show {shown}" + (" prints the traceback" if error.get("traceback") else "")
