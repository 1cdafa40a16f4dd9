"""Start no more jobs, and interrupt running functions at their next checkpoint."""

from __future__ import annotations

from jobkeep.cli import drain, values
from jobkeep.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

OWN_TIMEOUT = True
EXAMPLES = """\
Functions that are interrupted are queued again, and no attempt is used. Commands are waited for (--commands leave: they
run on). It returns when nothing runs that is waited for, with exit code 124 when --timeout is over before; the daemon
goes on draining, and accepts jobs, until it is stopped or --off starts jobs again. The next daemon starts what is
queued.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon drain [OPTIONS]"
    parser.add_argument(
        "--commands", choices=("wait", "leave"), help="wait for running commands, or let them run on (wait)"
    )
    parser.add_argument("--off", action="store_true", help="start jobs again")
    parser.add_argument("--timeout", type=values.duration, metavar="DUR", help="wait at most so long (60s)")


def run(context: Context, arguments: Options) -> int:
    if not arguments.off:
        timeout = drain.TIMEOUT if arguments.timeout is None else arguments.timeout
        return drain.drain(context, timeout, arguments.commands or "wait")
    if arguments.commands or arguments.timeout is not None:
        raise UsageError("daemon drain --off: it takes neither --commands nor --timeout")
    return drain.call_off(context)
