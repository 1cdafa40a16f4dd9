"""Tell why a job does not run or does not move, and what may be done with it."""

from __future__ import annotations

from jobkeep.cli.failures import OK
from jobkeep.cli.render.recovery import explanation
from jobkeep.cli.targets import job_id
from jobkeep.cli.wire import JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="or the first characters of it")


def run(context: Context, arguments: Options) -> int:
    said = context.link.call(JOBS + "Explain", id=job_id(arguments.id))
    if arguments.json:
        context.print_json(said)
    elif arguments.quiet:
        context.print(said["id"])
    else:
        context.print(*explanation(said, context.style))
    return OK
