"""Start your own daemon in the background; returns when it answers. One that answers already is left alone."""

from __future__ import annotations

import os

from jobkeep.cli.daemons import status_of
from jobkeep.cli.failures import OK, UNREACHABLE, Failure
from jobkeep.cli.wire import Wire
from jobkeep.errors import DaemonUnreachable, NoDaemon
from jobkeep.paths import candidates, named_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon start [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    status, started = status_of(context), False
    if status is None:
        from jobkeep.client.autostart import start_daemon  # subprocess is dear, and needed here alone

        socket = named_socket(context.options.socket)
        try:
            start_daemon(socket=socket)
        except NoDaemon as error:
            raise _not_there(context, socket) or error from None
        status, started = status_of(context), True
    if status is None:
        raise Failure("the daemon was started but does not answer", UNREACHABLE, "jobkeep daemon status")
    facts = {"pid": status["pid"], "socket": status["socket"], "started": started}
    if context.options.json:
        context.print_json(facts)
    else:
        word = "started" if started else "a daemon answers already"
        context.print(f"{word}: pid {facts['pid']}, socket {facts['socket']}")
    return OK


def _not_there(context: Context, socket: str | None) -> Failure | None:
    """The usual reason why none starts at a socket that was named: your daemon has another one already."""
    if socket is None:
        return None
    named = "--socket" if context.options.socket else "JOBKEEP_SOCKET"
    folder = os.path.dirname(os.path.abspath(socket))
    if not os.path.isdir(folder):
        why = f"{named} names {socket}, but there is no folder {folder}"
        return Failure(why, UNREACHABLE, f"make the folder, or leave {named} out")
    for path in candidates(None, {**os.environ, "JOBKEEP_SOCKET": ""}):
        if _answers(path):
            why = f"{named} names {socket}, where nobody listens; your daemon runs already, on {path}"
            return Failure(why, UNREACHABLE, f"leave {named} out, or stop that daemon first")
    return None


def _answers(path: str) -> bool:
    try:
        Wire(path, 2.0).close()
    except DaemonUnreachable:
        return False
    return True
