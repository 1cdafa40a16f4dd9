"""Have the daemon read its configuration again, and follow it where that is possible while it runs."""

from __future__ import annotations

from jobkeep.cli.daemons import ask
from jobkeep.cli.failures import OK, USAGE, Failure
from jobkeep.cli.render.daemon import changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
No run, no connection and no waiting job is lost by it. Queues, limits of labels, schedules, families, and the settings
of jobs, clean-up, recovery, retention, workers and the log follow at once; the paths, `[locks] ttl` and sessions need a
restart, and are named. A file with a mistake changes nothing. SIGHUP does the same, and the log tells.

Exit codes: 0 it was read, 2 there are mistakes: all are told, and the old configuration stays; 4 no daemon."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon reload [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    reply = ask(context, "Reload")
    problems = reply.get("problems") or ()
    if context.options.json:
        context.print_json(reply)
    else:
        for problem in problems:
            context.complain(Failure(problem, USAGE))
        if problems:
            context.note("the old configuration stays")
        elif not context.options.quiet:
            context.print(*changes(reply))
    return USAGE if problems else OK
