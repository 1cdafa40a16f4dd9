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
        super().__init__(
            message if isinstance(message, str) and message else _unnamed(name, short, parameters),
            _CODES.get(short, UNREACHABLE),
            _hint(short, parameters),
        )
        self.name = short


# What the daemon cannot do right now counts as no daemon: the caller may try again later.
_CODES = {
    "NotFound": NOT_FOUND, "Ambiguous": NOT_FOUND, "NoRun": NOT_FOUND,
    "KeyConflict": CONFLICT, "Refused": CONFLICT, "RequestMismatch": CONFLICT, "NoResult": CONFLICT,
    "Invalid": USAGE, "UnknownQueue": USAGE, "TooLarge": USAGE, "BadQuery": USAGE, "InvalidParameter": USAGE,
    "NotPermitted": NOT_PERMITTED, "PermissionDenied": NOT_PERMITTED,
}  # fmt: skip


def _unnamed(name: str, short: str, parameters: dict[str, Any]) -> str:
    if short == "InvalidParameter":
        return f"the daemon refuses a value: {parameters.get('parameter', 'unknown')}"
    if short in ("MethodNotFound", "InterfaceNotFound", "MethodNotImplemented"):
        return f"the daemon does not know {parameters.get('method') or parameters.get('interface')}"
    return f"the daemon answered {name}"


def _hint(short: str, parameters: dict[str, Any]) -> str | None:
    if short == "Ambiguous":
        return "it matches " + ", ".join(str(match) for match in parameters.get("matches") or ())
    if short == "KeyConflict":
        return f"jobkeep show {parameters.get('id')}, or submit with --on-conflict return to get that job"
    if short == "Refused":
        return f"jobkeep show {parameters.get('id')} says what is possible now"
    if short == "Internal" and parameters.get("reference"):
        return f"the daemon's log tells more at {parameters['reference']}"
    return _HINTS.get(short)


_HINTS = {
    "NotFound": "jobkeep ls --all lists the ids",
    "NoRun": "jobkeep show ID lists the runs",
    "UnknownQueue": "jobkeep daemon status lists the queues",
    "RequestMismatch": "use another --request-id for another job",
    "MethodNotFound": "jobkeep version shows whether client and daemon fit",
    "InterfaceNotFound": "jobkeep version shows whether client and daemon fit",
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
    elif isinstance(error, errors.TooLarge | errors.MessageTooLarge | errors.InvalidRequest):
        code = USAGE
    hint = error.hint
    if hint is None and isinstance(error, errors.DaemonUnreachable):
        hint = "jobkeep daemon start, or name its socket with --socket"
    return Failure(str(error), code, hint)
