"""End the daemon and all that it manages, whatever state it is in."""

from __future__ import annotations

import sys

from jobkeep.cli import values
from jobkeep.cli.daemons import jobkeepd
from jobkeep.cli.failures import FAILED, NOT_PERMITTED, OK, USAGE, Failure, UsageError
from jobkeep.cli.render.processes import losses, rows
from jobkeep.paths import candidates

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

WORD = "emergency"
EXAMPLES = """\
jobkeep emergency --dry-run      what it would end; ends nothing
jobkeep emergency                asks first
jobkeep emergency --yes          does not ask; scripts need this

It does not ask the daemon, which may hang or be dead: the daemon itself is ended first. Then the queues are paused, so
that nothing starts; running jobs are cancelled, and their true ends are on record; every process that is the daemon's,
and every process of the configured families, is ended; sessions are closed, and clients' locks are free. Who wants to
stay (JOBKEEP_KEEP=1), and what is another user's, is left alone. Only root and the daemon's own user may do this.

Afterwards: jobkeep queue resume QUEUE starts the queue's jobs again, jobkeep resume ID continues a cancelled one. All
queues: jobkeep queue ls -q | xargs -n 1 jobkeep queue resume

Exit codes: 0 all is ended, 1 some of it lives on, 6 not permitted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="end nothing; say what would be ended")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--config", metavar="FILE", help="of the daemon, where none listens; default: as jobkeepd has it"
    )
    parser.add_argument("--reason", type=values.reason, metavar="TEXT", help="goes on record")


def run(context: Context, arguments: Options) -> int:
    given = [f"--{name}={getattr(arguments, name)}" for name in ("reason", "config") if getattr(arguments, name)]
    if arguments.dry_run:
        return _show(context, _report(arguments, "--dry-run", *given))
    if not arguments.yes:
        _ask(context, arguments, *given)
    return _show(context, _report(arguments, *given))


def _ask(context: Context, arguments: Options, *given: str) -> None:
    """Raises Failure unless the word is typed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("emergency: it asks first, and there is no terminal", "jobkeep emergency --yes does not ask")
    for line in losses(_report(arguments, "--dry-run", *given)):
        context.note(line)
    sys.stderr.write(f'Type "{WORD}" to end all of it: ')
    sys.stderr.flush()
    if sys.stdin.readline().strip() != WORD:
        raise Failure("nothing was ended", FAILED)


def _report(arguments: Options, *words: str) -> dict[str, Any]:
    """What `jobkeepd emergency` says. Raises Failure with its own words."""
    socket = _socket(arguments)
    asked = [WORD, *(["--socket", socket] if socket else []), *words]
    return jobkeepd(asked, "the emergency could not be carried out", (USAGE, NOT_PERMITTED))


def _socket(arguments: Options) -> str | None:
    """That of the daemon that it is about: one that is named, or the first that anybody listens on."""
    import os

    found = candidates(arguments.socket)
    return next((path for path in found if os.path.exists(path)), found[0] if len(found) == 1 else None)


def _show(context: Context, report: dict[str, Any]) -> int:
    if context.options.json:
        context.print_json(report)
    else:
        touched = [process for process in report["processes"] if process["action"] in ("killed", "would_kill")]
        if context.options.quiet:
            context.print(*(str(process["pid"]) for process in touched))
        elif touched:
            context.print(*rows(touched, context.style))
        for survivor in report["survivors"]:
            context.note(f"process {survivor['pid']} lives on: {survivor['reason']}")
        for line in losses(report):
            context.note(line)
    return FAILED if report["survivors"] else OK
