"""Run a command as a job. Without -d its output is followed, and jobkeep ends with the command's own exit status."""

from __future__ import annotations

from jobkeep.cli.failures import UsageError
from jobkeep.cli.submit import add_options, finish, spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

REMAINDER = "..."  # argparse's own constant for: the rest as it is
IN_ORDER = True
OWN_TIMEOUT = True
EXAMPLES = """\
examples:
  jobkeep run -- rsync -a src dst             follow it; Ctrl-C cancels it, twice kills it
  jobkeep run -d --name nightly ./backup.sh   print the id and return
  jobkeep run --timeout 2h --retries 3 --backoff 30s -- ./import.sh --all
  jobkeep run --key refresh --on-conflict return -d ./refresh.sh
                                              never twice at the same time
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep run [OPTIONS] [--] COMMAND [ARGUMENT…]"
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="and its arguments, as they are")
    add_options(parser)


def run(context: Context, arguments: Options) -> int:
    command = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command or not command[0]:
        raise UsageError("run: no command given", "jobkeep run -- COMMAND…, such as: jobkeep run -- sleep 60")
    return finish(context, arguments, {"command": command, **spec(arguments)})
