"""Options of run, call and submit_many as the wire's job specs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from jobkeep.client import surroundings
from jobkeep.errors import InvalidRequest
from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.values import encode_value
from jobkeep.protocol.vocabulary import OnConflict, OnLost

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration


class SpecOptions(TypedDict, total=False):
    """How a job is run. Durations are seconds, timedeltas, or text like 90s, 15m, 3.5h, 2d."""

    name: str
    queue: str
    label: Mapping[str, str]
    key: str
    priority: int
    timeout: Duration
    grace: Duration
    retries: int
    backoff: Duration
    on_lost: OnLost
    cwd: str | os.PathLike[str]
    env: Mapping[str, str]
    python: str | os.PathLike[str]
    umask: int


class JobOptions(SpecOptions, total=False):
    """Options of one submit: those of its spec, and how it is accepted."""

    on_conflict: OnConflict
    request_id: str


_NAMES = {"label": "labels", "timeout": "timeout_s", "grace": "grace_s", "backoff": "backoff_s"}
_DURATIONS = {"timeout_s", "grace_s", "backoff_s"}
_PATHS = {"cwd", "python"}


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
    if field in _PATHS:
        return os.path.abspath(value)
    if field == "function":
        return function_name(value)
    return dict(value) if isinstance(value, Mapping) else value


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
        return function
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or "<" in name or module == "__main__":
        raise InvalidRequest(f"{function!r} cannot be imported by name, so no worker finds it", "function")
    return f"{module}:{name}"


def _in_surroundings(given: dict[str, Any]) -> JobSpec:
    cwd = given.get("cwd") or os.getcwd()
    inherited: dict[str, Any] = {"cwd": cwd, "umask": surroundings.umask(), "environment": surroundings.environment()}
    if "function" in given:
        inherited["python"] = surroundings.interpreter(cwd)
    try:
        return msgspec.convert({**inherited, **given}, JobSpec)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from None
