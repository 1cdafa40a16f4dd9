"""Take a lock from its holder; its token rises, so that what still comes from there can be told and refused."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import OK, RemoteFault
from jobkeep.cli.render.locks import sentence
from jobkeep.cli.wire import LOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
A holder that is dead has lost its lock already. From one that is alive it is taken with --force alone: the run of a job
is killed first, all of it, and the job is cancelled; a program is told (LeaseLost) and not touched.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=values.name, metavar="NAME", help="of the lock")
    parser.add_argument("--force", action="store_true", help="also from a holder that is alive; kills the run of a job")
    parser.add_argument("--reason", type=values.reason, metavar="TEXT", help="why, for the journal")


def run(context: Context, arguments: Options) -> int:
    again = f"whether it was reset is unknown; jobkeep lock show {arguments.name} tells"
    try:
        reply = context.link.once(
            LOCKS + "Reset", again=again, name=arguments.name, force=arguments.force, reason=arguments.reason
        )
    except RemoteFault as fault:
        if fault.name == "LockHeld":
            fault.hint = f"jobkeep lock reset {arguments.name} --force takes it all the same; it kills the run of a job"
        raise
    lock, ended = reply["lock"], reply.get("ended")
    if arguments.json:
        context.print_json(reply)
    elif arguments.quiet:
        context.print(lock["name"])
    else:
        context.print(f"{lock['name']}  {sentence(lock, context.style)}")
        if ended:
            context.note(f"job {context.id(ended)} was cancelled for it")
    return OK
