"""Stop jobs: a running one is asked first, then ended, then killed. Nothing of it remains."""

from __future__ import annotations

from jobkeep.cli.verbs import act, add_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--force", action="store_true", help="skip asking and the grace period")


def run(context: Context, arguments: Options) -> int:
    return act(context, arguments, "Cancel", force=arguments.force)
