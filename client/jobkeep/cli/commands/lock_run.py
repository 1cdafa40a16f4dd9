"""Run a command while holding a lock: as a child of this very process, not as a job."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError
from jobkeep.cli.leased import attend, name_and_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.child import Child
    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

IN_ORDER = True
EXAMPLES = """\
examples:
  jobkeep lock run crm -- ./sync.sh           exit code 5 if the lock is held
  jobkeep lock run crm --wait 10m -- ./sync.sh

The command has this terminal, these streams and this environment, and JOBKEEP_LOCK_TOKEN: a number that rises with each
holder, so that what is written with an older one can be refused. When the lock is lost (--ttl without an answer of the
daemon, or a reset) the command is ended, TERM and then KILL, with all that it started, and the exit code is 5. When
jobkeep itself is killed, so is the command, but not what it started (Linux).

Exit codes: the command's own, 128+N when signal N ended it; 5 the lock is held, or was lost; 126, 127 as in shells.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep lock run [OPTIONS] NAME [OPTIONS] [--] COMMAND [ARGUMENT…]"
    parser.add_argument("words", nargs="...", metavar="NAME COMMAND", help="and its arguments, as they are")
    parser.add_argument("--wait", type=values.duration, metavar="DUR", help="how long to wait for the lock; default: 0")
    parser.add_argument(
        "--ttl", type=values.limit, metavar="DUR",
        help="how long the daemon may be away before the lock counts as lost: 1s to 1d; default: [locks] ttl",
    )  # fmt: skip


def run(context: Context, arguments: Options) -> int:
    from jobkeep.cli.commands import lock_run

    usage = "jobkeep lock run NAME -- COMMAND…"
    name, command = name_and_command("lock run", lock_run, arguments, "lock", usage)
    if not command or not command[0]:
        raise UsageError("lock run: no command given", f"jobkeep lock run {name} -- COMMAND…")
    from jobkeep.cli.child import Child

    child = Child(command)
    try:
        return _under_lock(context, arguments, name, child)
    finally:
        child.forget()


def _under_lock(context: Context, arguments: Options, name: str, child: Child) -> int:
    from jobkeep.client.lease import Lease
    from jobkeep.errors import LockHeld

    lease = Lease(name, arguments.ttl)
    try:
        return attend(context, lease, arguments.wait or 0.0, child, lambda: {"JOBKEEP_LOCK_TOKEN": str(lease.token)})
    except LockHeld as error:
        how = "" if arguments.wait else "--wait DUR waits for it; "  # whoever has waited knows
        error.hint = f"{how}jobkeep lock show {name} tells more"
        raise
