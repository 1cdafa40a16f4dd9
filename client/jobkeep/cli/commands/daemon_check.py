"""Read all of the daemon's database, while it goes on, and tell what is wrong with it."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.daemons import ask
from jobkeep.cli.failures import FAILED, OK
from jobkeep.cli.render.text import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

OWN_TIMEOUT = True
PATIENCE = 3600.0  # it depends on the size of the database
EXAMPLES = """\
Exit codes: 0 it is well, 1 it is damaged: make a backup of what can be read, look at the disk, restore an older backup;
4 no daemon."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon check [OPTIONS]"
    parser.add_argument("--timeout", type=values.limit, metavar="DUR", help="wait at most so long (1h)")


def run(context: Context, arguments: Options) -> int:
    context.options.talk_timeout = PATIENCE if arguments.timeout is None else arguments.timeout
    reply = ask(context, "Check")
    problems = reply["problems"]
    if context.options.json:
        context.print_json(reply)
    elif problems:
        context.print(*(escape(problem) for problem in problems))
    elif not context.options.quiet:
        context.print(f"the database is well: {reply['bytes'] / 1048576:.1f} MiB, read in {reply['seconds']:.1f} s")
    return FAILED if problems else OK
