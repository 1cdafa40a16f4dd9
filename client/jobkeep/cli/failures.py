"""Failures as people meet them: what and why in one line, a hint, and the exit code."""

from __future__ import annotations

from jobkeep import errors

TYPE_CHECKING = False  # `typing` itself costs more than a request
if TYPE_CHECKING:
    from typing import Any

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
CONFLICT = 5
NOT_PERMITTED = 6
TIMED_OUT = 124
NO_EXEC = 126  # as shells have it: there is such a command, but it cannot be executed
NO_COMMAND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141  # 128 + SIGPIPE, as any other program of a pipeline


class Failure(Exception):
    """Ends the command: `code` is its exit code."""

    def __init__(self, message: str, code: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class UsageError(Failure):
    """The command line is wrong."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, USAGE, hint)


class RemoteFault(Failure):
    """The daemon's answer is an error; `name` is the wire's."""

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        short = name.rpartition(".")[2]
        message = parameters.get("message")
        known = isinstance(message, str) and message
        super().__init__(
            f"{message}{_since(short, parameters.get('since_s'))}" if known else _unnamed(name, short, parameters),
            _CODES.get(short, UNREACHABLE),
            _hint(short, parameters),
        )
        self.name = short


# What the daemon cannot do right now counts as no daemon: the caller may try again later.
_CODES = {
    "NotFound": NOT_FOUND, "Ambiguous": NOT_FOUND, "NoRun": NOT_FOUND,
    "KeyConflict": CONFLICT, "Refused": CONFLICT, "RequestMismatch": CONFLICT, "NoResult": CONFLICT,
    "SessionInUse": CONFLICT, "SessionFailed": FAILED, "UnknownSession": NOT_FOUND,
    "LockHeld": CONFLICT, "NotThisRun": CONFLICT, "LeaseLost": CONFLICT, "UnknownLock": NOT_FOUND,
    "UnknownSchedule": NOT_FOUND, "EventsGone": NOT_FOUND, "ScheduleConflict": CONFLICT,
    "Invalid": USAGE, "UnknownQueue": USAGE, "TooLarge": USAGE, "BadQuery": USAGE, "InvalidParameter": USAGE,
    "NotPermitted": NOT_PERMITTED, "PermissionDenied": NOT_PERMITTED,
}  # fmt: skip


def _unnamed(name: str, short: str, parameters: dict[str, Any]) -> str:
    if short == "InvalidParameter":
        return f"the daemon refuses a value: {parameters.get('parameter', 'unknown')}"
    if short in ("MethodNotFound", "InterfaceNotFound", "MethodNotImplemented"):
        return f"the daemon does not know {parameters.get('method') or parameters.get('interface')}"
    return f"the daemon answered {name}"


_HAD = "; it has had it for {}"


def _since(short: str, seconds: Any) -> str:
    """Since when somebody has what was asked for."""
    words = {"KeyConflict": "; it was submitted {} ago", "LockHeld": _HAD, "SessionInUse": _HAD}.get(short)
    if words is None or not isinstance(seconds, int | float):
        return ""
    from jobkeep.cli.render.times import span

    return words.format(span(seconds))


def _hint(short: str, parameters: dict[str, Any]) -> str | None:
    if short == "Ambiguous":
        return "it matches " + ", ".join(str(match) for match in parameters.get("matches") or ())
    if short == "KeyConflict":
        show = f"jobkeep show {parameters.get('id')}"
        return f"nothing was submitted; {show}, or submit with --on-conflict return to get that job"
    if short == "LockHeld":
        more = f"jobkeep lock show {parameters.get('name')} tells more"
        return f"nothing was submitted; {more}; without --on-conflict a job waits for its lock"
    if short == "ScheduleConflict":
        return _of_schedule(str(parameters.get("schedule")), str(parameters.get("reason")))
    if short == "Refused":
        return f"jobkeep show {parameters.get('id')} says what is possible now"
    if short == "Internal" and parameters.get("reference"):
        return f"the daemon's log tells more at {parameters['reference']}"
    if short == "EventsGone" and isinstance(first := parameters.get("first"), int):
        return f"jobkeep events --after {first - 1} goes on there; jobkeep history ID tells all of a job that is kept"
    if short == "NotPermitted" and isinstance(hint := parameters.get("hint"), str):
        return hint
    return _HINTS.get(short)


def _of_schedule(name: str, reason: str) -> str:
    if "in the configuration" in reason:
        return f"jobkeep schedule pause {name} keeps it from firing"
    more = "; --replace changes it" if reason == "there is one of that name" else ""
    return f"jobkeep schedule show {name} tells more{more}"


_HINTS = {
    "NotFound": "jobkeep ls --all lists the ids",
    "NoRun": "jobkeep show ID lists the runs",
    "UnknownLock": "jobkeep lock ls lists the locks that are held",
    "NotThisRun": "this is for the processes of a job while its run is under way; whoever is left of an older one ends",
    "UnknownQueue": "jobkeep queue ls lists the queues",
    "UnknownSchedule": "jobkeep schedule ls lists the schedules",
    "UnknownSession": "jobkeep session ls lists the sessions",
    "RequestMismatch": "use another --request-id for another job",
    "MethodNotFound": "jobkeep version shows whether client and daemon fit",
    "InterfaceNotFound": "jobkeep version shows whether client and daemon fit",
    "LimitReached": "try again when there is less of it; [access] in the daemon's configuration has the limits",
    "StorageFull": "make room on the disk of the state directory; running jobs go on",
    "StorageFailed": "ask again with the same --request-id to learn whether it took effect",
    "ShuttingDown": "try again in a moment",
    "BadQuery": "jobkeep sql \"SELECT name, sql FROM sqlite_schema\" shows what there is",
    "SlowReader": "ask again; nothing is lost",
}


def of_client(error: errors.JobkeepError) -> Failure:
    """An error of the transport, or of the search for a daemon, as a Failure."""
    code = UNREACHABLE
    if isinstance(error, errors.NotPermitted):
        code = NOT_PERMITTED
    elif isinstance(error, errors.BadConfiguration | errors.TooLarge | errors.MessageTooLarge | errors.InvalidRequest):
        code = USAGE
    elif isinstance(error, errors.Conflict | errors.LeaseLost):
        code = CONFLICT
    elif isinstance(error, errors.NotFound):
        code = NOT_FOUND
    elif isinstance(error, errors.SessionFailed):
        code = FAILED
    hint = error.hint
    if hint is None and isinstance(error, errors.UnknownSession | errors.SessionInUse):
        hint = "jobkeep session ls lists the sessions, and who uses them"
    if isinstance(error, errors.DaemonUnreachable) and (hint is None or error.waited_s is not None):
        hint = "jobkeep daemon start, or name its socket with --socket"
    since = _since("LockHeld", error.since_s) if isinstance(error, errors.LockHeld) else ""
    return Failure(f"{error}{since}", code, hint)
