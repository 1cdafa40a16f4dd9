"""Run a command as a job. Without -d its output is followed, and jobkeep ends with the command's own exit status."""

from __future__ import annotations

import os
import stat

from jobkeep.cli.failures import UsageError
from jobkeep.cli.submit import add_options, finish, spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

REMAINDER = "..."  # argparse's own constant for: the rest as it is
IN_ORDER = True
OWN_TIMEOUT = True
EXAMPLES = """\
examples:
  jobkeep run -- rsync -a src dst             follow it; Ctrl-C cancels it, twice kills it
  jobkeep run -d --name nightly ./backup.sh   print the id and return
  jobkeep run --timeout 2h --retries 3 --backoff 30s -- ./import.sh --all
  jobkeep run --key refresh --on-conflict return -d ./refresh.sh
                                              never twice at the same time
  jobkeep run --from-file jobs.ndjson --queue bulk
                                              {"command": ["./import.sh", "a.csv"]}, one such object per line

A job outlives this terminal, so its standard input is /dev/null. A file is named instead:
  jobkeep run -- sh -c 'wc -l < names.txt'

Exit codes: the command's own; 124 its --timeout or --queue-timeout was over, 126 it cannot be executed, 127 there is
no such command, 128+N it was ended by signal N, 130 Ctrl-C, 141 whoever read the output went away (the job is
cancelled).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep run [OPTIONS] [--] COMMAND [ARGUMENT…]\n       jobkeep run [OPTIONS] --from-file FILE"
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="and its arguments, as they are")
    parser.add_argument(
        "--from-file", metavar="FILE",
        help="submit a job for each line, a JSON object as in the spec of show --json, and print the ids; -: stdin",
    )  # fmt: skip
    add_options(parser)


def run(context: Context, arguments: Options) -> int:
    command = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if arguments.from_file:
        return _from_file(context, arguments, command)
    if not command or not command[0]:
        raise UsageError("run: no command given", "jobkeep run -- COMMAND…, such as: jobkeep run -- sleep 60")
    if input_waits():
        context.note("the command does not get this standard input, but /dev/null: jobkeep run --help")
    return finish(context, arguments, {"command": command, **spec(arguments)})


def _from_file(context: Context, arguments: Options, command: list[str]) -> int:
    """Options are for all lines; a line may say otherwise."""
    if command:
        raise UsageError("run: either a command or --from-file, not both")
    if arguments.key:
        raise UsageError("run: --key names one job; with --from-file each line has its own key")
    if arguments.at and arguments.delay is not None:
        raise UsageError("either --delay or --at says when it is due, not both")
    from jobkeep.cli.bulk_submit import submit_file  # heavier, and not needed for one job

    return submit_file(context, arguments, spec(arguments))


def input_waits() -> bool:
    """Whether somebody seems to mean our standard input for the command: a file or a pipe that has content."""
    try:
        found = os.fstat(0)
        if stat.S_ISREG(found.st_mode):
            return os.lseek(0, 0, os.SEEK_CUR) < found.st_size
        if not stat.S_ISFIFO(found.st_mode):
            return False
        import select

        poll = select.poll()
        poll.register(0, select.POLLIN)
        return any(events & select.POLLIN for _, events in poll.poll(0))
    except OSError:  # there is none
        return False
