"""Save a JSON value as this job's checkpoint; it is durable once this returns."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import OK
from jobkeep.cli.inside import own_run, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep checkpoint set 17
jobkeep checkpoint set '{"page": 4, "last": "smith"}'
jobkeep checkpoint set "\\"$name\\""       a string is JSON too: it has quotes of its own

A daemon that is away is waited for, --timeout long (30s); after that the exit code is 4, and nothing was saved.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("state", type=values.json_text, metavar="JSON", help="any JSON value of at most 64 KiB")


def run(context: Context, arguments: Options) -> int:
    told(context, "SaveCheckpoint", own_run("checkpoint set"), state=values.decode(arguments.state))
    return OK
