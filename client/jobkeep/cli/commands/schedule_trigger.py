"""Submit the job of a schedule now, beside its times, and print its id."""

from __future__ import annotations

import os

from jobkeep.cli import values
from jobkeep.cli.failures import OK
from jobkeep.cli.named import add_name
from jobkeep.cli.wire import SCHEDULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser, "schedule")
    parser.add_argument("--request-id", type=values.request_id, metavar="ID", help="the same id is the same job")


def run(context: Context, arguments: Options) -> int:
    request = arguments.request_id or os.urandom(16).hex()
    again = f"whether it took the job is unknown; the same command with --request-id {request} is safe"
    reply = context.link.call(SCHEDULES + "Trigger", again=again, name=arguments.name, request_id=request)
    if arguments.json:
        context.print_json(reply)
    else:
        context.print(reply["id"])
        if not reply.get("created", True):
            context.note(f"this job was there already, {reply['state']}")
    return OK
