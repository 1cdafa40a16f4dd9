"""List the sessions: their states, and who uses them."""

from __future__ import annotations

from jobkeep.cli.named import print_all
from jobkeep.cli.render.sessions import rows
from jobkeep.cli.wire import SESSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
starting, ready, in_use; dead: it has ended by itself, or is about to end, and the next open starts another one; closed:
nobody has opened it yet, or somebody has closed it. Health is that of the last check: nothing is checked for this list.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep session ls [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    return print_all(context, context.link.call(SESSIONS + "List")["sessions"], rows, "no session is configured")
