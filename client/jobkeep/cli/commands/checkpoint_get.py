"""Print what a run of this job has saved last, as JSON."""

from __future__ import annotations

import json

from jobkeep.cli import values
from jobkeep.cli.failures import OK
from jobkeep.cli.inside import own_run, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
A daemon that is away is waited for, --timeout long (30s): to begin again from the first item would be worse. With
--json it is {"seq": N, "state": …}; seq counts the checkpoints, and is 0 where nothing was saved.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--default", type=values.json_text, metavar="JSON", default="null",
        help="what to print where nothing was saved yet (default: null)",
    )  # fmt: skip


def run(context: Context, arguments: Options) -> int:
    saved = told(context, "LoadCheckpoint", own_run("checkpoint get"))
    if arguments.json:
        context.print_json({"seq": saved["seq"], "state": saved["state"]})
    elif saved["seq"]:
        context.print(json.dumps(saved["state"], separators=(",", ":")))
    else:
        context.print(arguments.default)
    return OK
