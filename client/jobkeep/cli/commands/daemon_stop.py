"""End the daemon; running jobs go on, and the next daemon adopts them. Returns when it is gone."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from jobkeep.cli.daemons import ask, status_of
from jobkeep.cli.failures import FAILED, OK, Failure
from jobkeep.errors import ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

STOP_PATIENCE = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon stop [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    """Gone is: no socket answers, and the process has ended."""
    status = ask(context, "Status")
    pid, running = int(status["pid"]), _running(status)
    patience = STOP_PATIENCE
    with suppress(ConnectionLost):  # it may be gone before its answer is read
        patience += ask(context, "Stop").get("within_s") or 0.0
    deadline = time.monotonic() + patience
    while _alive(pid) or status_of(context, pid) is not None:
        if time.monotonic() > deadline:
            why = f"the daemon (pid {pid}) has not ended within {patience:g} s"
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
