"""Show what the daemon is and does. Never starts one."""

from __future__ import annotations

from jobkeep.cli.daemons import ask
from jobkeep.cli.failures import OK
from jobkeep.cli.room import room

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon status [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    reply = ask(context, "Status")
    if context.options.json:
        context.print_json(reply)
    else:
        from jobkeep.cli.render.daemon import status

        found = room(str(reply["state_dir"]))
        context.print(*status(reply, context.style, found and found[0]))
    return OK
