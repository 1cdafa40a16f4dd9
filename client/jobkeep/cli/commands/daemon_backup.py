"""Copy the daemon's database into a file, while it goes on."""

from __future__ import annotations

import os

from jobkeep.cli import values
from jobkeep.cli.daemons import ask
from jobkeep.cli.failures import OK
from jobkeep.cli.render.text import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

OWN_TIMEOUT = True
PATIENCE = 3600.0  # it depends on the size of the database
EXAMPLES = """\
jobkeep daemon backup /backups/jobs-monday.sqlite

The copy is of one moment, holds up nothing, is for the daemon's user alone (0600), and has its name only when it is
whole, on the disk, and was read again without a fault. It has jobs, their results, checkpoints, environments and
history in it; not the output of jobs. `jobkeep daemon restore FILE` takes it back.

Exit codes: 0 it is made, 2 the file is there already (--force replaces it) or cannot be written, 4 no daemon."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon backup FILE [OPTIONS]"
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--timeout", type=values.limit, metavar="DUR", help="wait at most so long (1h)")


def run(context: Context, arguments: Options) -> int:
    context.options.talk_timeout = PATIENCE if arguments.timeout is None else arguments.timeout
    reply = ask(context, "Backup", file=os.path.abspath(arguments.file), force=arguments.force)
    if context.options.json:
        context.print_json(reply)
    elif not context.options.quiet:
        size, jobs = reply["bytes"] / 1048576, reply["jobs"]
        context.print(f"{escape(reply['file'])}: {jobs} jobs, {size:.1f} MiB, checked; in {reply['seconds']:.1f} s")
    return OK
