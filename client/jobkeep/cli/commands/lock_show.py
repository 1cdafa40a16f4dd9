"""Tell all about one lock: who has it, since when, until when, and how many wait for it."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.named import print_one
from jobkeep.cli.render.locks import show
from jobkeep.cli.wire import LOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=values.name, metavar="NAME", help="of the lock")


def run(context: Context, arguments: Options) -> int:
    lock = context.link.call(LOCKS + "Show", name=arguments.name)["lock"]
    return print_one(context, lock, show)
