"""Put a backup in the place of the database of a daemon that is stopped."""

from __future__ import annotations

import os

from jobkeep.cli.daemons import jobkeepd
from jobkeep.cli.failures import CONFLICT, NOT_PERMITTED, OK, USAGE
from jobkeep.cli.render.daemon import restored

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep daemon stop
jobkeep daemon restore /backups/jobs-monday.sqlite
jobkeep daemon start

The backup is read through first; one that is damaged, or of a newer jobkeep, is refused, and one of an older is brought
up to date by the next start. The database that was there is kept beside it. What was submitted, ended or changed after
the backup is forgotten. All later fences and lock tokens are higher than any that were ever given out, so that whoever
holds an older one is refused. Runs that were under way in the backup and still live are found by the next start; the
others are lost, or interrupted where the host was started since, and go the usual way.

It is about your own database, where you have one; else root and the user `jobkeep` mean that of the host's daemon.

Runs of after the backup that still live would collide with new ones: it is refused while there are any.

Exit codes: 0 restored, 2 a mistake in the configuration, 5 the daemon runs, or runs that the backup does not know,
6 another user's, 1 anything else: then the database is as it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon restore FILE [OPTIONS]"
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--config", metavar="FILE", help="of the daemon; default: as jobkeepd has it")


def run(context: Context, arguments: Options) -> int:
    words = ["restore", *([f"--config={arguments.config}"] if arguments.config else [])]
    words += ["--", os.path.abspath(arguments.file)]
    report = jobkeepd(words, "nothing was restored", (USAGE, CONFLICT, NOT_PERMITTED))
    if context.options.json:
        context.print_json(report)
    elif not context.options.quiet:
        context.print(*restored(report, context.style))
    return OK
