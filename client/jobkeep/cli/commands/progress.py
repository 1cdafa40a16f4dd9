"""Tell how far the job is, from inside its command: `jobkeep progress 3 10 --note "third file"`."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import OK, UNREACHABLE, Failure
from jobkeep.cli.inside import own_run, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep progress 3              three are done, of nobody knows how many
jobkeep progress 3 10           three of ten: shown as a bar
jobkeep progress 3 10 --note "third file"

A total and a note stay until others are given. Nothing is waited for: while the daemon is away, this says so on stderr
and succeeds, so that a report that cannot be made never ends a script.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("done", type=values.count, metavar="DONE", help="how many are done")
    parser.add_argument("total", type=values.count, metavar="TOTAL", nargs="?", help="of how many")
    parser.add_argument("--note", type=values.reason, metavar="TEXT", help="one line for people")


def run(context: Context, arguments: Options) -> int:
    own = own_run("progress")
    try:
        told(context, "Progress", own, patience=0.0, done=arguments.done, total=arguments.total, note=arguments.note)
    except Failure as failure:
        if failure.code != UNREACHABLE:
            raise
        context.note(f"not reported: {failure}")
    return OK
