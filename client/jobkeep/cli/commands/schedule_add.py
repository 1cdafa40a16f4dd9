"""Submit a command at each time that a cron expression names."""

from __future__ import annotations

import os

from jobkeep.cli.failures import UsageError
from jobkeep.cli.named import print_one
from jobkeep.cli.render.schedules import show
from jobkeep.cli.submit import add_options, check_conflict, spec
from jobkeep.cli.wire import SCHEDULES
from jobkeep.cli.words import command_of, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

IN_ORDER = True
OWN_TIMEOUT = True
USAGE = "jobkeep schedule add NAME CRON [OPTIONS] [--] COMMAND [ARGUMENT…]"
EXAMPLES = """\
examples:
  jobkeep schedule add nightly '0 2 * * *' -- ./backup.sh
  jobkeep schedule add report @weekly -- make report
  jobkeep schedule add hourly '5 * * * *' --missed skip --key crm -- ./refresh.sh

Five fields: minute, hour, day of the month, month, day of the week; or @hourly, @daily (at midnight), @weekly (on
Sunday), @monthly, @yearly, which are kept as fields. A time that comes twice when clocks are set back is fired once,
one that is left out when they are set forward right after that; with * as the hour, by distance.
--missed says what becomes of times at which no daemon ran or the host slept, once that is over: skip (none is made up
for), run_once (the latest), run_all (each, at most the latest 100). With --key a job whose predecessor lives on is left
out, or what --on-conflict says.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    parser.add_argument("words", nargs="...", metavar="NAME CRON COMMAND", help="and its arguments, as they are")
    when = parser.add_argument_group("when")
    when.add_argument("--timezone", metavar="TZ", help="such as Europe/Berlin; default: that of this host, else UTC")
    when.add_argument(
        "--missed", choices=("skip", "run_once", "run_all"), default="run_once", help="times that were missed"
    )
    when.add_argument("--replace", action="store_true", help="change a schedule that there is")
    add_options(parser)


def run(context: Context, arguments: Options) -> int:
    name, cron, command = _words(arguments)
    check_conflict(arguments)
    reply = context.link.call(
        SCHEDULES + "Add",
        again=f"whether it took effect is unknown; jobkeep schedule show {name} tells",
        name=name,
        cron=cron,
        timezone=arguments.timezone or local_zone(),
        missed=arguments.missed,
        on_conflict=arguments.on_conflict and arguments.on_conflict.replace("-", "_"),
        replace=arguments.replace,
        spec={"command": command, **spec(arguments)},
    )
    return print_one(context, reply["schedule"], show)


def _words(arguments: Options) -> tuple[str, str, list[str]]:
    """Name, expression and command; options may stand before and behind the first two."""
    words = arguments.words
    if len(words) < 2:
        raise UsageError("schedule add: a name and a cron expression are needed", USAGE)
    from jobkeep.cli.commands import schedule_add

    name = name_of("schedule add", words[0], USAGE)
    command = command_of("schedule add", schedule_add, words[2:], arguments)
    if not command or not command[0]:
        raise UsageError("schedule add: no command given", USAGE)
    return name, words[1], command


def local_zone() -> str:
    """The name of this host's time zone; UTC where it has none."""
    given = os.environ.get("TZ", "").removeprefix(":")
    if "/" in given and not given.startswith("/"):
        return given
    try:
        _, found, name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    except OSError:
        return "UTC"
    return name.removeprefix("posix/") if found and not given else "UTC"
