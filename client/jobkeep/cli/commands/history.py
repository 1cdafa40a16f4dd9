"""Print the journal of one job, oldest entry first."""

from __future__ import annotations

from jobkeep.cli.failures import OK
from jobkeep.cli.render.events import entry
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
    for event in context.link.call(JOBS + "History", id=job_id(arguments.id))["entries"]:
        if arguments.json:
            context.print_json(event)
        else:
            context.print(entry(event, context.style, job=False))
    return OK
