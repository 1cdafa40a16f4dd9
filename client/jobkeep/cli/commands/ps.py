"""List the processes that are ours, and whose each is."""

from __future__ import annotations

from jobkeep.cli.failures import OK
from jobkeep.cli.render.processes import rows
from jobkeep.cli.wire import PROCESSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep ps                       runs, workers, slots, orphans, and members of [families.NAME]
jobkeep ps --orphans             what nobody owns, and whether a clean-up would end it
jobkeep ps --all                 every process of the host

Whose a process is, is proven by its slot, its cookie, its record or its descent. A process that wants to stay after its
run has ended is started with JOBKEEP_KEEP=1 in its environment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orphans", action="store_true", help="only those that nobody owns any more")
    parser.add_argument("--all", action="store_true", help="also those that are not ours")


def run(context: Context, arguments: Options) -> int:
    processes = context.link.call(PROCESSES + "List", orphans=arguments.orphans, all=arguments.all)["processes"]
    if arguments.json:
        for process in processes:
            context.print_json(process)
    elif arguments.quiet:
        context.print(*(str(process["pid"]) for process in processes))
    elif processes:
        context.print(*rows(processes, context.style))
    else:
        context.note("there are no orphans" if arguments.orphans else "no process is ours")
    return OK
