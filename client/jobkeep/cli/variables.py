"""The variables that a job gets on top of our environment, and whose values nobody is shown."""

from __future__ import annotations

import os

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection
    from typing import Any

    from jobkeep.cli.options import Options

LARGEST = 512 << 10  # bytes of a file: with the rest it must fit into a message of 1 MiB
_SPACE = " \t\r"
_ESCAPED = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "$": "$"}


class BadLine(Exception):
    """What is wrong with it, without anything that stands in it."""


def add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--env", action="append", type=values.variable, default=[], metavar="K=V", help="repeatable")
    group.add_argument(
        "--env-file", action="append", default=[], metavar="FILE",
        help="variables from a file with K=V on each line; their values are never shown; repeatable, --env wins",
    )  # fmt: skip
    group.add_argument(
        "--secret", action="append", type=values.secret, default=[], metavar="NAME",
        help="of this variable, or argument of a function, the value is never shown; by default it is our variable's",
    )  # fmt: skip
    group.add_argument(
        "--credential", action="append", type=values.credential, default=[], metavar="NAME",
        help="a file with the daemon's credential of that name, in the job's $CREDENTIALS_DIRECTORY; repeatable",
    )  # fmt: skip


def spec_of(arguments: Options, named: Collection[str] = ()) -> dict[str, Any]:
    """`env`, `secrets` and `credentials` of a spec; `named` are the arguments of the function.

    All that a file says is secret.
    """
    env: dict[str, str] = {}
    for path in arguments.env_file:
        env.update(read(path))
    secrets = dict.fromkeys([*env, *arguments.secret])
    env.update(dict(arguments.env))
    for name in secrets:
        if name not in env and name not in named:
            if name not in os.environ:
                raise UsageError(f"--secret: nothing gives {name} a value", f"--env-file FILE, or export {name} before")
            env[name] = os.environ[name]
    return {
        "env": env or None, "secrets": list(secrets) or None,
        "credentials": list(dict.fromkeys(arguments.credential)) or None,
    }  # fmt: skip


def read(path: str) -> dict[str, str]:
    """The variables of a file. Raises UsageError with the line, and never with what stands in it."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"--env-file: {path}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise UsageError(f"--env-file: {path} has more than {LARGEST >> 10} KiB")
    found: dict[str, str] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            found.update(_line(line))
        except BadLine as wrong:
            hint = "KEY=VALUE on each line, in quotes where it matters; # begins a comment"
            raise UsageError(f"--env-file: {path}, line {number}: {wrong}", hint) from None
    return found


def _line(line: bytes) -> dict[str, str]:
    """One variable or none. Raises BadLine."""
    try:
        text = line.decode().strip(_SPACE)
    except UnicodeDecodeError:
        raise BadLine("it is not UTF-8") from None
    if not text or text.startswith("#"):
        return {}
    name, equals, value = text.removeprefix("export ").partition("=")
    name, value = name.strip(_SPACE), value.strip(_SPACE)
    if not equals:
        raise BadLine("there is no = in it")
    if not (name.isascii() and name.isidentifier()):
        raise BadLine("what stands before = is not the name of a variable")
    if "\0" in value:
        raise BadLine("a NUL cannot be part of a variable")
    return {name: _unquoted(value)}


def _unquoted(value: str) -> str:
    """Without quotes it is what it is, # included. Raises BadLine."""
    quote = value[:1]
    if quote not in ("'", '"'):
        return value
    found: list[str] = []
    at = 1
    while at < len(value) and value[at] != quote:
        if quote == '"' and value[at] == "\\":
            at += 1
            if value[at : at + 1] not in _ESCAPED:
                raise BadLine(r'in double quotes a backslash stands before \, ", $, n or t')
            found.append(_ESCAPED[value[at]])
        else:
            found.append(value[at])
        at += 1
    if at >= len(value):
        raise BadLine("the quotes do not end")
    rest = value[at + 1 :].strip(_SPACE)
    if rest and not rest.startswith("#"):
        raise BadLine("something follows the quotes")
    return "".join(found)
