"""End the process of a session, with all that it has started."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import OK, RemoteFault
from jobkeep.cli.wire import SESSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
TERM, and KILL after its grace. While somebody uses it only with --force: they lose the lease, and are told so.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=values.name, metavar="NAME", help="of the session")
    parser.add_argument("--force", action="store_true", help="also while somebody uses it")
    parser.add_argument("--reason", type=values.reason, metavar="TEXT", help="why, for the journal")


def run(context: Context, arguments: Options) -> int:
    again = "whether it was closed is unknown; jobkeep session ls tells"
    try:
        reply = context.link.call(
            SESSIONS + "Close", again=again, name=arguments.name, force=arguments.force, reason=arguments.reason
        )
    except RemoteFault as fault:
        if fault.name == "SessionInUse":
            fault.hint = f"jobkeep session close {arguments.name} --force ends it all the same"
        raise
    if arguments.json:
        context.print_json(reply)
    elif arguments.quiet:
        context.print(arguments.name)
    elif reply.get("ended"):
        context.print(f"{arguments.name}  closed")
    else:
        context.note(f"the session {arguments.name} was not running")
    return OK
