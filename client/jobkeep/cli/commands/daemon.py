"""Start, stop or look at the daemon."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from jobkeep.cli.failures import FAILED, OK, UNREACHABLE, Failure
from jobkeep.cli.wire import ADMIN, Wire
from jobkeep.errors import ConnectionLost, DaemonUnreachable, NoDaemon
from jobkeep.paths import candidates, named_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

STOP_PATIENCE = 30.0
EXAMPLES = """\
start    start your own daemon in the background; returns when it answers
status   what it is and does; never starts one
stop     end it; running jobs go on, and the next daemon adopts them
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("start", "status", "stop"), metavar="start|status|stop")


def run(context: Context, arguments: Options) -> int:
    return {"start": start, "status": show_status, "stop": stop}[arguments.action](context)


def start(context: Context) -> int:
    """Start one, unless one answers already."""
    status, started = _status(context), False
    if status is None:
        from jobkeep.client.autostart import start_daemon  # subprocess is dear, and needed here alone

        socket = named_socket(context.options.socket)
        try:
            start_daemon(socket=socket)
        except NoDaemon as error:
            raise _not_there(context, socket) or error from None
        status, started = _status(context), True
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


def show_status(context: Context) -> int:
    """The daemon's own words, as a table."""
    reply = _ask(context, "Status")
    if context.options.json:
        context.print_json(reply)
    else:
        from jobkeep.cli.render.daemon import status

        context.print(*status(reply, context.style))
    return OK


def stop(context: Context) -> int:
    """End the daemon, and return when it is gone: no socket answers, and the process has ended."""
    status = _ask(context, "Status")
    pid, running = int(status["pid"]), _running(status)
    with suppress(ConnectionLost):  # it may be gone before its answer is read
        _ask(context, "Stop")
    deadline = time.monotonic() + STOP_PATIENCE
    while _alive(pid) or _status(context, pid) is not None:
        if time.monotonic() > deadline:
            why = f"the daemon (pid {pid}) has not ended within {STOP_PATIENCE:g} s"
            raise Failure(why, FAILED, "its log tells why")
        time.sleep(0.02)
    if context.options.json:
        context.print_json({"pid": pid, "stopped": True, "running": running})
    else:
        goes_on = f"; {running} running {'job goes' if running == 1 else 'jobs go'} on" if running else ""
        context.print(f"stopped: pid {pid}{goes_on}")
    return OK


def _running(status: dict[str, Any]) -> int:
    jobs = status.get("jobs") or {}
    return int(jobs.get("running", 0)) + int(jobs.get("cancelling", 0))


def _ask(context: Context, method: str) -> dict[str, Any]:
    wire = context.dial(autostart=False)
    try:
        return wire.call(ADMIN + method)
    finally:
        wire.close()


def _status(context: Context, pid: int | None = None) -> dict[str, Any] | None:
    """None when no daemon answers (or another one than `pid`)."""
    try:
        status = _ask(context, "Status")
    except DaemonUnreachable:
        return None
    return status if pid is None or status["pid"] == pid else None


def _alive(pid: int) -> bool:
    """A zombie counts as gone: it only waits for a parent that may never ask (PID 1 of a container)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return _answers_signals(pid)


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True
