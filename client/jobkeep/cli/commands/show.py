"""Tell all about one job: how it is, how far, its runs, what failed, and what can be done now."""

from __future__ import annotations

from jobkeep.cli.failures import OK, RemoteFault
from jobkeep.cli.results import with_result
from jobkeep.cli.targets import job_id
from jobkeep.cli.wire import JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

ITEMS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="or the first characters of it")


def run(context: Context, arguments: Options) -> int:
    id = job_id(arguments.id)
    try:
        job = context.link.call(JOBS + "Get", id=id, output=True)["job"]
    except RemoteFault as fault:
        if fault.name != "InvalidParameter":
            raise
        job = context.link.call(JOBS + "Get", id=id)["job"]  # an older daemon does not know of output
    if not arguments.quiet:
        job = with_result(context, job)
    if arguments.json:
        context.print_json(job)
    elif arguments.quiet:
        context.print(job["id"])
    else:
        from jobkeep.cli.render.job import show  # whoever only completes its options does without

        items = []
        if (job.get("progress") or {}).get("failed_items"):
            items = context.link.call(JOBS + "FailedItems", id=job["id"], limit=ITEMS)["items"]
        context.print(*show(job, items, context.style))
    return OK
