"""Say how many jobs of a queue run at once; those that run go on."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.named import add_name, add_reason
from jobkeep.cli.queueing import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser, "queue")
    parser.add_argument(
        "limit", type=values.queue_limit, metavar="N", help="1 to 10000, or default: what the configuration says"
    )
    add_reason(parser)


def run(context: Context, arguments: Options) -> int:
    return control(context, arguments, "Limit", limit=arguments.limit or None)
