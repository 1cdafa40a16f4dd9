"""Options of run, call and submit_many as the wire's job specs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from jobkeep.client import surroundings
from jobkeep.client.moments import in_utc
from jobkeep.errors import InvalidRequest
from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.mistakes import in_words
from jobkeep.protocol.sizes import to_bytes
from jobkeep.protocol.values import encode_value
from jobkeep.protocol.vocabulary import OnConflict, OnLost, OnStall

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration


class SpecOptions(TypedDict, total=False):
    """How a job is run. Durations are seconds, timedeltas, or text like 90s, 15m, 3.5h, 2d."""

    name: str
    queue: str
    label: Mapping[str, str]
    key: str
    lock: str
    priority: int
    delay: Duration  # not before so long from now
    at: datetime | str  # not before; without an offset it is local time
    after: Sequence[str] | str  # ids of jobs that must have succeeded before
    after_label: Mapping[str, str]  # the same of all live jobs that have these labels
    after_any_end: bool  # whatever has become of them
    timeout: Duration
    queue_timeout: Duration
    stall_after: Duration
    on_stall: OnStall
    grace: Duration
    retries: int
    backoff: Duration
    on_lost: OnLost
    cwd: str | os.PathLike[str]
    env: Mapping[str, str]
    secrets: Sequence[str] | str  # names in `env` and in the arguments whose values nobody is shown
    credentials: Sequence[str] | str  # of the daemon, as files in the job's $CREDENTIALS_DIRECTORY
    python: str | os.PathLike[str]
    on: str  # dask:NAME: a function runs on that cluster
    umask: int
    nice: int  # from -20 to 19
    memory: int | str  # bytes, or text like 512M, 1.5G
    cpu: float  # how many, 0.5 for half of one
    nofile: int  # open files of each process
    traceparent: str  # default: that of the environment, if it has one
    tracestate: str


class JobOptions(SpecOptions, total=False):
    """Options of one submit: those of its spec, and how it is accepted.

    `on_conflict` says what becomes of it when a live job has the key (default: reject), or the lock is held (wait).
    """

    on_conflict: OnConflict
    request_id: str


_NAMES = {
    "label": "labels", "timeout": "timeout_s", "queue_timeout": "queue_timeout_s",
    "stall_after": "stall_after_s", "grace": "grace_s", "backoff": "backoff_s", "delay": "delay_s",
    "memory": "memory_bytes",
}  # fmt: skip
_DURATIONS = {"timeout_s", "queue_timeout_s", "stall_after_s", "grace_s", "backoff_s", "delay_s"}
_LISTS = {"after", "secrets", "credentials"}
_PATHS = {"cwd", "python"}
_FIELD = re.compile(r"\$\.(\w+)")  # in the place of a decoder's message


def fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a JobSpec from options by their public or their wire names; those that are None are left out.

    Raises InvalidRequest for a name that there is not, or a duration that is none.
    """
    found = {}
    for name, value in options.items():
        field = _NAMES.get(name, name)
        if field not in JobSpec.__struct_fields__:
            raise InvalidRequest(f"there is no option {name!r}", name)
        if value is not None:
            found[field] = _converted(field, name, value)
    return found


def _converted(field: str, name: str, value: Any) -> Any:
    if field in _DURATIONS:
        try:
            return to_seconds(value)
        except (ValueError, AttributeError) as error:
            raise InvalidRequest(f"{name}: {error}", name) from None
    if field == "memory_bytes":
        try:
            return to_bytes(value)
        except (ValueError, TypeError) as error:
            raise InvalidRequest(f"{name}: {error}", name) from None
    if field in _LISTS:
        return [value] if isinstance(value, str) else list(value)
    if field == "at":
        return _moment(value)
    if field in _PATHS:
        return os.path.abspath(value)
    if field == "function":
        return function_name(value)
    return dict(value) if isinstance(value, Mapping) else value


def _moment(value: Any) -> datetime:
    try:
        return in_utc(value if isinstance(value, datetime) else datetime.fromisoformat(value))
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest(f"at: {value!r} is no time, such as 2030-01-31T18:00", "at") from None


def command(argv: Sequence[str], options: Mapping[str, Any]) -> JobSpec:
    """The spec of a command."""
    if isinstance(argv, str):
        raise InvalidRequest('a command is a list of words, like ["rsync", "-a", "src", "dst"]', "command")
    return _in_surroundings({**fields(options), "command": [os.fspath(word) for word in argv]})


def call(
    function: str | Callable[..., Any], arguments: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> JobSpec:
    """The spec of a function."""
    given = dict(arguments or {})
    try:
        encode_value(given, "the arguments")
    except TypeError as error:
        raise InvalidRequest(str(error), "arguments") from None
    spec = {**fields(options), "function": function_name(function), "arguments": given}
    return _in_surroundings(spec)


def template(options: Mapping[str, Any]) -> JobSpec:
    """The spec that the items of submit_many begin with."""
    found = fields(options)
    if "function" not in found and "command" not in found:  # items may name either
        found["python"] = found.get("python") or surroundings.interpreter(found.get("cwd") or os.getcwd())
    return _in_surroundings(found)


def function_name(function: str | Callable[..., Any]) -> str:
    """`module:qualname`. Raises InvalidRequest for what a worker cannot import."""
    if isinstance(function, str):
        if ":" not in function and "." in function:
            meant = ":".join(function.rsplit(".", 1))
            raise InvalidRequest(f"function: {function!r} is not MODULE:FUNCTION; did you mean {meant}?", "function")
        return function
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or "<" in name or module == "__main__":
        raise InvalidRequest(f"{function!r} cannot be imported by name, so no worker finds it", "function")
    return f"{module}:{name}"


def _in_surroundings(given: dict[str, Any]) -> JobSpec:
    cwd = given.get("cwd") or os.getcwd()
    inherited: dict[str, Any] = {"cwd": cwd, "umask": surroundings.umask(), "environment": surroundings.environment()}
    inherited |= surroundings.trace()
    if "function" in given:
        inherited["python"] = surroundings.interpreter(cwd)
    try:
        return msgspec.convert({**inherited, **given}, JobSpec)
    except msgspec.ValidationError as error:
        what, _, place = in_words(str(error)).partition(" - at ")
        field = _FIELD.search(place)
        raise InvalidRequest(f"{field[1]}: {what}" if field else what, field[1] if field else None) from None
