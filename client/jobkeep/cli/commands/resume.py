"""Continue failed or cancelled jobs from their checkpoint."""

from __future__ import annotations

from jobkeep.cli.verbs import act, add_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--failed-items", action="store_true", help="run only the items that failed")


def run(context: Context, arguments: Options) -> int:
    return act(context, arguments, "Resume", failed_items=arguments.failed_items)
