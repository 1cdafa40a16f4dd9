"""Wait until jobs have ended. Exit code 0: all succeeded; 1: one did not; 124: the time is over, and all are shown."""

from __future__ import annotations

import time

from jobkeep.cli import values
from jobkeep.cli.failures import FAILED, OK, TIMED_OUT
from jobkeep.cli.follow import ENDED
from jobkeep.cli.render.job import sentence
from jobkeep.cli.results import with_result
from jobkeep.cli.targets import add_ids, job_id
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

OWN_TIMEOUT = True
TURN = 10.0  # seconds per request, well below the time that an answer may take


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_ids(parser)
    parser.add_argument("--any", action="store_true", help="until the first of them has ended")
    parser.add_argument("--timeout", type=values.duration, metavar="DUR", help="at most so long; default: no end")


def run(context: Context, arguments: Options) -> int:
    ids = [job_id(id) for id in arguments.ids]
    reply = wait(context, ids, arguments.any, arguments.timeout)
    jobs, over = reply["jobs"], reply["timed_out"]
    if over and not arguments.quiet:
        jobs = _as_they_are(context, ids, jobs)
    for job in jobs:
        if arguments.json:
            context.print_json(with_result(context, job))
        elif arguments.quiet:
            context.print(job["id"])
        else:
            context.print(f"{context.id(job['id'])}  {sentence(job, context.style)}")
    if over:
        left = sum(job["state"] not in ENDED for job in jobs)
        context.note(f"time is over; {left} of {len(jobs)} jobs have not ended")
        return TIMED_OUT
    return OK if all(job["state"] == "succeeded" for job in jobs) else FAILED


def _as_they_are(context: Context, ids: list[str], ended: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All jobs that were asked for, also those that have not ended; each once, in the order of the ids."""
    found: dict[str, dict[str, Any]] = {}
    for id in ids:
        known = next((job for job in ended if job["id"].startswith(id)), None)
        job = known or context.link.call(JOBS + "Get", id=id)["job"]
        found[job["id"]] = job
    return list(found.values())


def wait(context: Context, ids: list[str], any: bool, timeout: float | None) -> dict[str, Any]:
    """Ask in turns, so that neither a restart of the daemon nor a silent connection can hold us for ever."""
    context.link.patience = FOLLOW_PATIENCE
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        turn = TURN if deadline is None else min(max(deadline - time.monotonic(), 0.0), TURN)
        again = "the jobs go on; the same command waits again"
        reply = context.link.call(JOBS + "Wait", again=again, ids=ids, any=any, timeout_s=turn)
        if not reply.get("timed_out"):
            return {"jobs": reply["jobs"], "timed_out": False}
        if deadline is not None and time.monotonic() >= deadline:
            return {"jobs": reply["jobs"], "timed_out": True}
