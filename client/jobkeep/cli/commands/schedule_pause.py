"""Fire a schedule no more; what is due meanwhile is not made up for."""

from __future__ import annotations

from jobkeep.cli.named import add_name, add_reason
from jobkeep.cli.scheduling import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser, "schedule")
    add_reason(parser)


def run(context: Context, arguments: Options) -> int:
    return control(context, arguments, "Pause", reason=arguments.reason)
