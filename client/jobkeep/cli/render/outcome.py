"""Why a run ended, in words and as an exit status."""

from __future__ import annotations

from jobkeep.cli.failures import FAILED, NO_COMMAND, NO_EXEC, OK, TIMED_OUT
from jobkeep.wording import cause as cause
from jobkeep.wording import error_line as error_line
from jobkeep.wording import signal_name as signal_name
from jobkeep.wording import told_after as told_after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def status(job: dict[str, Any]) -> int:
    """The exit status that stands for the end of a job: the command's own, 128+N for a signal; else 0 or 1."""
    if job["state"] == "succeeded":
        return OK
    outcome = job.get("outcome") or {}
    reason = outcome.get("reason") or ""
    if outcome.get("kind") == "failed" and reason.startswith("timed out "):
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
