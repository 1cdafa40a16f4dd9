"""Have a session ready, or use it while a command runs."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.leased import attend, name_and_command
from jobkeep.cli.named import print_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.child import Child
    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options
    from jobkeep.client.session import Session

IN_ORDER = True
EXAMPLES = """\
examples:
  jobkeep session open browser                         checked or started; ready for whoever comes next
  jobkeep session open browser --wait 5m -- ./crawl    in use while ./crawl runs; nobody else has it meanwhile

The command has this terminal, and JOBKEEP_SESSION_PID, JOBKEEP_SESSION_INFO (as JSON, from [sessions.NAME] info) and
JOBKEEP_LOCK_TOKEN in its environment. When the lease on the session is lost it is ended, as by `jobkeep lock run`.

Exit codes: 0, or the command's own; 1 the session cannot be had; 3 there is none of that name; 5 somebody else uses it,
or it was lost.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep session open [OPTIONS] NAME [OPTIONS] [-- COMMAND [ARGUMENT…]]"
    parser.add_argument("words", nargs="...", metavar="NAME [-- COMMAND]", help="and its arguments, as they are")
    parser.add_argument(
        "--wait", type=values.duration, metavar="DUR", help="how long to wait while somebody uses it; default: 0"
    )
    parser.add_argument(
        "--ttl", type=values.limit, metavar="DUR",
        help="how long the daemon may be away before it counts as lost: 1s to 1d; default: [locks] ttl",
    )  # fmt: skip


def run(context: Context, arguments: Options) -> int:
    from jobkeep.cli.commands import session_open

    usage = "jobkeep session open NAME [-- COMMAND…]"
    name, command = name_and_command("session open", session_open, arguments, "session", usage)
    if not command:
        return _open(context, arguments, name)
    from jobkeep.cli.child import Child

    child = Child(command)
    try:
        return _use(context, arguments, name, child)
    finally:
        child.forget()


def _use(context: Context, arguments: Options, name: str, child: Child) -> int:
    from jobkeep.client.session import Session

    session = Session(name, arguments.ttl)
    return attend(context, session, arguments.wait or 0.0, child, lambda: _variables(session))


def _variables(session: Session) -> dict[str, str]:
    import json

    return {
        "JOBKEEP_SESSION_PID": str(session.pid),
        "JOBKEEP_SESSION_INFO": json.dumps(session.info),
        "JOBKEEP_LOCK_TOKEN": str(session.token),
    }


def _open(context: Context, arguments: Options, name: str) -> int:
    from jobkeep.blocking.channel import BlockingChannel
    from jobkeep.blocking.locks import hold
    from jobkeep.cli.render.sessions import rows
    from jobkeep.cli.wire import SESSIONS
    from jobkeep.client.session import Session

    channel = BlockingChannel(context.options.socket, None)
    try:
        with hold(channel, Session(name, arguments.ttl), arguments.wait or 0.0):
            pass  # it is ready now, and nobody's
    finally:
        channel.close()
    (found,) = [each for each in context.link.call(SESSIONS + "List")["sessions"] if each["name"] == name]
    return print_one(context, found, lambda session, style: rows([session], style))
