"""Show what the daemon is and does. Never starts one."""

from __future__ import annotations

import os
from contextlib import suppress

from jobkeep.cli.daemons import ask
from jobkeep.cli.failures import OK

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

        context.print(*status(reply, context.style, _room(str(reply["state_dir"]))))
    return OK


def _room(folder: str) -> int | None:
    """Bytes that are free on the disk of a folder; None where we may not look."""
    with suppress(OSError):
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize
    return None
