"""End the current run of jobs for sure, then continue them from their checkpoint."""

from __future__ import annotations

from jobkeep.cli.verbs import act, add_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--from-start", action="store_true", help="forget the checkpoint; the history is kept")


def run(context: Context, arguments: Options) -> int:
    return act(context, arguments, "Restart", from_start=arguments.from_start)
