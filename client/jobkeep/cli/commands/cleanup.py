"""End what nobody owns: leftovers of ended runs, and orphans of families."""

from __future__ import annotations

from jobkeep.cli.failures import FAILED, OK
from jobkeep.cli.render.processes import rows, summary
from jobkeep.cli.wire import PROCESSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep cleanup --dry-run        what it would end, and by which evidence; signals nobody
jobkeep cleanup                  SIGTERM, then SIGKILL; exit code 1 if some of them live on

The daemon does the same by itself: each [cleanup] interval, by its schedule, and when a family has more processes than
its max_processes. What is under an active run or a session in use is never touched."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="signal nobody; say what would be done")
    parser.add_argument("--reason", metavar="TEXT", help="goes on record with each signal")


def run(context: Context, arguments: Options) -> int:
    parameters: dict[str, Any] = {"dry_run": arguments.dry_run}
    if arguments.reason is not None:
        parameters["reason"] = arguments.reason
    reply = context.link.call(PROCESSES + "Cleanup", **parameters)
    touched = [process for process in reply["processes"] if process["action"] in ("killed", "would_kill")]
    if arguments.json:
        context.print_json(reply)
    elif arguments.quiet:
        context.print(*(str(process["pid"]) for process in touched))
    else:
        shown = [process for process in reply["processes"] if process in touched or process["verdict"] == "orphan"]
        if shown:
            context.print(*rows(shown, context.style))
        for survivor in reply["survivors"]:
            context.note(f"process {survivor['pid']} lives on: {survivor['reason']}")
        context.note(summary(reply))
    return FAILED if reply["survivors"] else OK
