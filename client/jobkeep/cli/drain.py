"""Drain the daemon, or call that off."""

from __future__ import annotations

from jobkeep.cli.failures import OK, TIMED_OUT, UNREACHABLE, Failure
from jobkeep.cli.render.daemon import drained
from jobkeep.cli.wire import ADMIN
from jobkeep.errors import ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.wire import Wire

TIMEOUT = 60.0


def drain(context: Context, timeout: float, commands: str) -> int:
    """Until nothing runs that is waited for; exit code 124 when the time is over before."""
    wire = context.dial(autostart=False)
    try:
        reply = _drain(wire, commands, 0.0)
        if not reply["drained"] and timeout:
            _announce(context, reply)
            reply = _drain(wire, commands, timeout)
    except ConnectionLost as lost:
        # Not asked again: the next daemon is another one, and starts what is queued.
        hint = "jobkeep daemon start starts one, which goes on with all jobs"
        raise Failure(f"the daemon has ended while it drained: {lost}", UNREACHABLE, hint) from None
    except KeyboardInterrupt:
        context.note("no longer waiting; the daemon goes on draining: jobkeep daemon drain --off starts jobs again")
        raise
    finally:
        wire.close()
    if context.options.json:
        context.print_json(reply)
    elif context.options.quiet:
        context.print(*(run["id"] for run in reply["running"]))
    else:
        context.print(*drained(reply, context.style))
    return OK if reply["drained"] else TIMED_OUT


def _drain(wire: Wire, commands: str, timeout: float) -> dict[str, Any]:
    return wire.call(ADMIN + "Drain", commands=commands, timeout_s=timeout)


def _announce(context: Context, reply: dict[str, Any]) -> None:
    awaited = [run for run in reply["running"] if run["waited_for"]]
    functions = sum(run["kind"] == "function" for run in awaited)
    commands = len(awaited) - functions
    parts = [_number(functions, "function") + " to reach a checkpoint" if functions else ""]
    parts.append(_number(commands, "command") + " to end" if commands else "")
    if awaited:  # else it only takes the daemon a moment to be done
        context.note(f"draining: waiting for {' and '.join(part for part in parts if part)}")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def call_off(context: Context) -> int:
    """Have jobs started again."""
    wire = context.dial(autostart=False)
    try:
        was_draining = bool(wire.call(ADMIN + "Undrain")["drained"])
    finally:
        wire.close()
    if context.options.json:
        context.print_json({"draining": False, "was_draining": was_draining})
    else:
        context.print("jobs are started again" if was_draining else "the daemon was not draining")
    return OK
