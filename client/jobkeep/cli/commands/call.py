"""Call a Python function as a job. Without -d its output is followed, and its result is printed as JSON."""

from __future__ import annotations

import os
import sys

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError
from jobkeep.cli.submit import add_options, finish, spec
from jobkeep.client import surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

OWN_TIMEOUT = True
EXAMPLES = """\
examples:
  jobkeep call crm.tasks:refresh path=leads.csv limit=100 dry=true
  jobkeep call crm.tasks:refresh --args '{"path": "leads.csv"}' -d --retries 3 --on-lost resume
  jobkeep call crm.tasks:refresh --args @arguments.json

A VALUE that is JSON is taken as JSON (100, true, null, [1, 2]), anything else as text. For text that looks like
JSON write a JSON string, quotes included: zip='"12345"'. True and False are text; true and false are not.
The function is imported as Python would import it in the job's directory (--cwd, else the current one).
The interpreter is --python, else $VIRTUAL_ENV, else ./.venv, else the one that runs jobkeep.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep call [OPTIONS] MODULE:FUNCTION [KEY=VALUE…]"
    parser.add_argument("function", type=values.function, metavar="MODULE:FUNCTION")
    parser.add_argument("arguments", nargs="*", type=values.argument, metavar="KEY=VALUE", help="keyword arguments")
    parser.add_argument(
        "--args", default="{}", metavar="JSON", help="an object, or @FILE or - (stdin) with one; KEY=VALUE wins"
    )
    parser.add_argument("--python", metavar="EXE", help="the interpreter that has the function's packages")
    parser.add_argument(
        "--on", type=values.cluster, metavar="dask:NAME", help="the cluster where it runs; default: here"
    )
    add_options(parser)


def run(context: Context, arguments: Options) -> int:
    given = {**_object(arguments.args), **dict(arguments.arguments)}
    made = spec(arguments, given)
    if arguments.on:
        made["on"] = arguments.on
    if given:
        made["arguments"] = given
    return finish(
        context,
        arguments,
        {"function": arguments.function, "python": interpreter(arguments.python, made["cwd"]), **made},
    )


def _object(given: str) -> dict[str, Any]:
    """The value of --args."""
    try:
        return values.arguments(_text(given))
    except values.BadValue as error:
        raise UsageError(f"call: argument --args: {error}", "jobkeep call --help") from None


def _text(given: str) -> str:
    if given != "-" and not given.startswith("@"):
        return given
    try:
        if given == "-":
            return sys.stdin.buffer.read().decode()
        with open(given[1:], encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise values.BadValue(f"{given[1:] or given}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise values.BadValue("not UTF-8") from None


def interpreter(given: str | None, cwd: str) -> str:
    """The absolute path of the Python that the function's packages are installed for."""
    if given is not None:
        found = os.path.abspath(given) if "/" in given else _on_path(given)
        if not found or not os.access(found, os.X_OK):
            raise UsageError(f"--python: there is no program {given}")
        return found
    return surroundings.interpreter(cwd)


def _on_path(name: str) -> str | None:
    for folder in os.get_exec_path():
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None
