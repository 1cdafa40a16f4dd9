"""List the queues: what runs and waits, their limits, and who has paused them."""

from __future__ import annotations

from jobkeep.cli.named import print_all
from jobkeep.cli.render.queues import rows
from jobkeep.cli.wire import QUEUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep queue ls [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    return print_all(context, context.link.call(QUEUES + "List")["queues"], rows, "")
