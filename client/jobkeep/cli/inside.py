"""What a command of a job says of its run: which one that is, and patience while the daemon is away."""

from __future__ import annotations

import os
import time

from jobkeep.cli.failures import Failure, UsageError, of_client
from jobkeep.cli.wire import PASSING, RUN
from jobkeep.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.context import Context

PAUSE = 0.2


def own_run(command: str) -> dict[str, str]:
    """Which run this process belongs to, and the proof of it. Raises UsageError outside a job."""
    job, number, cookie = (os.environ.get(f"JOBKEEP_{name}") for name in ("JOB", "RUN", "COOKIE"))
    if not (job and number and cookie):
        raise UsageError(
            f"{command} is for the inside of a job, and here is none: JOBKEEP_JOB, _RUN or _COOKIE is not set",
            "jobkeep run -- SCRIPT starts a script as a job; a Python function has its JobContext instead",
        )
    return {"run": f"{job}.{number}", "cookie": cookie}


def told(
    context: Context, method: str, own: dict[str, str], *, patience: float | None = None, **said: Any
) -> dict[str, Any]:
    """The daemon's answer. A daemon that restarts or has no room is waited for: the job goes on without it.

    Raises Failure, UNREACHABLE when it has not come back within `patience` seconds (None: --timeout).
    """
    deadline = time.monotonic() + (context.options.talk_timeout if patience is None else patience)
    while True:
        try:
            return _ask(context, method, own, said)
        except DaemonUnreachable as error:
            failure = of_client(error)
        except Failure as error:
            if getattr(error, "name", None) not in (*PASSING, "StorageFull"):
                raise
            failure = error
        if time.monotonic() + PAUSE > deadline:
            raise failure from None
        time.sleep(PAUSE)


def _ask(context: Context, method: str, own: dict[str, str], said: dict[str, Any]) -> dict[str, Any]:
    """By one attempt, over a connection of its own."""
    wire = context.dial(autostart=False)
    try:
        return wire.call(RUN + method, **own, **said)
    finally:
        wire.close()
