"""What the types of a JobSpec cannot say: both ends check it, the client where it is asked for many jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import ARGUMENTS_DEPTH, ARGUMENTS_LIMIT, OnConflict

_encode: Final = msgspec.json.Encoder().encode


class BadSpec(ValueError):
    """`field` is wrong; `size` and `limit` are bytes where it is too large."""

    def __init__(self, field: str, message: str, size: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.field = field
        self.size = size
        self.limit = limit


def check_spec(spec: JobSpec) -> None:
    """Raises BadSpec."""
    if (spec.command is None) == (spec.function is None):
        wrong = "neither a command nor" if spec.command is None else "both a command and"
        raise BadSpec("command", f"{wrong} a function is given; one of the two is needed")
    if spec.command is not None:
        _check_command(spec.command)
        if spec.on is not None:
            raise BadSpec("on", "a command runs on this host; on names where a function runs")
        if spec.arguments:
            raise BadSpec("arguments", "a command takes no arguments but those in its list")
    elif spec.arguments:
        _check_arguments(spec.arguments)
    for name in ("cwd", "python"):
        path = getattr(spec, name)
        if path is not None and (not path.startswith("/") or "\0" in path):
            raise BadSpec(name, f"{name} is an absolute path")
    if spec.delay_s is not None and spec.at is not None:
        raise BadSpec("at", "either delay_s or at says when it is due, not both")
    check_variables(spec.env, "env")
    if spec.on is not None and spec.credentials:
        raise BadSpec("credentials", "they are files of this host, and the function runs on a cluster")
    for name in spec.secrets:
        if name not in spec.env and name not in spec.arguments:  # such as in a spec that was shown
            raise BadSpec("secrets", f"{name} is said to be secret, and neither env nor arguments has a value of it")


def check_conflict(on_conflict: OnConflict | None, spec: JobSpec) -> None:
    """Raises BadSpec for what means nothing without a key."""
    if on_conflict in ("replace_queued", "cancel_running") and spec.key is None:
        raise BadSpec("on_conflict", f"{on_conflict} is about jobs with the same key, and the job has none")


def check_variables(variables: Mapping[str, str], field: str) -> None:
    """Raises BadSpec."""
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            raise BadSpec(field, f"{name!r} cannot be the name of a variable")
        if "\0" in value:
            raise BadSpec(f"{field}.{name}", "a NUL cannot be part of a variable")


def _check_arguments(arguments: dict[str, Any]) -> None:
    if _is_deeper(arguments, ARGUMENTS_DEPTH):
        raise BadSpec("arguments", f"arguments is nested more than {ARGUMENTS_DEPTH} levels deep")
    size = len(_encode(arguments))
    if size > ARGUMENTS_LIMIT:
        message = f"arguments has {size} bytes, the limit is {ARGUMENTS_LIMIT}"
        raise BadSpec("arguments", message, size, ARGUMENTS_LIMIT)


def _is_deeper(value: Any, levels: int) -> bool:
    """Level by level: recursion would end where it is to be told."""
    there = [value]
    for _ in range(levels):
        inner = (part for each in there for part in (each.values() if isinstance(each, dict) else each))
        there = [part for part in inner if isinstance(part, dict | list | tuple)]
        if not there:
            return False
    return True


def _check_command(command: Sequence[str]) -> None:
    if not command[0]:
        raise BadSpec("command[0]", "the command has no name")
    for number, word in enumerate(command):
        if "\0" in word:
            raise BadSpec(f"command[{number}]", "a NUL cannot be passed to a command")
