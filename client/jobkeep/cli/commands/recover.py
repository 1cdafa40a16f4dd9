"""Look at every run that is under way, and end those that are dead."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import OK
from jobkeep.cli.render.recovery import findings, summary
from jobkeep.cli.wire import ADMIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep recover --check                     what it would do; writes nothing
jobkeep recover --older-than 60m            a function without a sign of life for an hour is taken for dead
jobkeep recover --then resume               what is dead goes on from its checkpoint, whatever its on_lost says

The daemon does the same by itself, on every start and each [recovery] interval. A command is alive as long as its
process is: it is never over-age.

With --json: one array with a row for each run, since all of them were judged at one moment; an empty one when no run is
under way."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; say what would be done")
    parser.add_argument(
        "--older-than", type=values.duration, metavar="DUR",
        help="how long without a sign of life is dead, but no less than [jobs] late_after ([recovery] older_than, 30m)",
    )  # fmt: skip
    parser.add_argument("--then", choices=("fail", "resume"), help="what becomes of the dead (each job's own on_lost)")


def run(context: Context, arguments: Options) -> int:
    parameters: dict[str, Any] = {"check": arguments.check}
    if arguments.older_than is not None:
        parameters["older_than_s"] = arguments.older_than
    if arguments.then:
        parameters["then"] = arguments.then
    reply = context.link.call(ADMIN + "Recover", **parameters)
    rows = reply["rows"]
    if arguments.json:
        context.print_json(rows)
    elif arguments.quiet:
        context.print(*(row["id"] for row in rows if row["action"] != "leave"))
    else:
        context.print(*findings(rows, context.style))
        context.note(summary(rows, arguments.check))
    return OK
