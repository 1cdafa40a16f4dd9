"""Start the jobs of a paused queue again."""

from __future__ import annotations

from jobkeep.cli.named import add_name, add_reason
from jobkeep.cli.queueing import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser, "queue")
    add_reason(parser)


def run(context: Context, arguments: Options) -> int:
    return control(context, arguments, "Resume")
