"""List the locks that are held: by whom, since when, and how many wait."""

from __future__ import annotations

from jobkeep.cli.named import print_all
from jobkeep.cli.render.locks import rows
from jobkeep.cli.wire import LOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep lock ls [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    return print_all(context, context.link.call(LOCKS + "List")["locks"], rows, "no lock is held")
