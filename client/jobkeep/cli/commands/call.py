"""Call a Python function as a job. Without -d its output is followed, and its result is printed as JSON."""

from __future__ import annotations

import os

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError
from jobkeep.cli.submit import add_options, finish, spec
from jobkeep.client import surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

OWN_TIMEOUT = True
EXAMPLES = """\
examples:
  jobkeep call crm.tasks:refresh path=leads.csv limit=100 dry=true
  jobkeep call crm.tasks:refresh --args '{"path": "leads.csv"}' -d --retries 3 --on-lost resume

A VALUE that is JSON is taken as JSON (100, true, null, [1, 2], "100"), anything else as a string.
The interpreter is --python, else $VIRTUAL_ENV, else ./.venv, else the one that runs jobkeep.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep call [OPTIONS] MODULE:FUNCTION [KEY=VALUE…]"
    parser.add_argument("function", type=values.function, metavar="MODULE:FUNCTION")
    parser.add_argument("arguments", nargs="*", type=values.argument, metavar="KEY=VALUE", help="keyword arguments")
    parser.add_argument("--args", type=values.arguments, default={}, metavar="JSON", help="an object; KEY=VALUE wins")
    parser.add_argument("--python", metavar="EXE", help="the interpreter that has the function's packages")
    add_options(parser)


def run(context: Context, arguments: Options) -> int:
    made = spec(arguments)
    given = {**arguments.args, **dict(arguments.arguments)}
    if given:
        made["arguments"] = given
    return finish(
        context,
        arguments,
        {"function": arguments.function, "python": interpreter(arguments.python, made["cwd"]), **made},
    )


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
