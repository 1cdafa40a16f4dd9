"""List the schedules: what they run, when next, and who has paused them."""

from __future__ import annotations

from jobkeep.cli.named import print_all
from jobkeep.cli.render.schedules import rows
from jobkeep.cli.wire import SCHEDULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep schedule ls [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    none = "no schedules yet; try: jobkeep schedule add nightly '0 2 * * *' -- ./backup.sh" if context.style.tty else ""
    return print_all(context, context.link.call(SCHEDULES + "List")["schedules"], rows, none)
