"""A board of the whole terminal: jobs, locks, sessions and processes as they change, and keys that act on jobs."""

from __future__ import annotations

import os
import sys

from jobkeep.cli.failures import OK, UsageError
from jobkeep.cli.wire import ADMIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
keys:
  1 2 3 4, tab    jobs, locks, sessions, processes
  enter           the job at length: why it does not move, its runs, the end of its output; escape goes back
  c C             cancel it; kill it at once
  r R             resume it from its checkpoint; run the items again that failed
  s S             restart it; from the start
  x               forget it, if it has ended
  /               show only what matches all words: of name, id, state, queue, key=value of a label, …
  q               leave: jobs are not touched

A key that the daemon would refuse says why. Cancel, kill, restart and forget ask first. Needs a terminal, and
`pip install 'jobkeep[top]'`. For programs: jobkeep watch --json.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep top [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    if arguments.json or arguments.quiet:
        raise UsageError("top is for people, and knows no --json and no -q", "jobkeep watch --json, or jobkeep ls -q")
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)) or os.environ.get("TERM") == "dumb":
        raise UsageError("top needs a terminal", "jobkeep watch prints a line for each change elsewhere")
    show = _board()
    context.link.call(ADMIN + "Status")  # a daemon that is not there, or refuses us, is told before the screen is taken
    show(context)
    return OK


def _board() -> Callable[[Context], None]:
    """What draws it. Raises UsageError where textual is not installed."""
    try:
        from jobkeep.cli.top.app import show
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        raise UsageError("top needs textual, which is not installed", "pip install 'jobkeep[top]'") from None
    return show
