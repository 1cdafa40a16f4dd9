"""Stay with a job that was just submitted: its output is ours, and so is its end. Ctrl-C cancels it."""

from __future__ import annotations

import os
import signal
import sys

from jobkeep.cli.failures import FAILED, INTERRUPTED, OK, Failure
from jobkeep.cli.follow import Follower
from jobkeep.cli.render.outcome import cause
from jobkeep.cli.render.text import escape
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS, Wire
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from jobkeep.cli.context import Context

CANCEL_TIMEOUT = 5.0
TURN = 10.0  # seconds per Wait; a dead connection is noticed after each


class Interrupts:
    """Ctrl-C while following: first cancels the job, second forces it, third leaves.

    The handler does not raise but cancels over a connection of its own, so that the stream being read stays whole.
    """

    def __init__(self, path: str, id: str, shown: str) -> None:
        self._path = path
        self._id = id
        self._shown = shown
        self.count = 0

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            _say(f"no longer following; jobkeep show {self._shown} tells how it ends")
            raise KeyboardInterrupt
        force = self.count == 2
        again = "" if force else " (Ctrl-C again forces it)"
        _say(f"{'killing' if force else 'cancelling'} job {self._shown}{again}")
        try:
            wire = Wire(self._path, CANCEL_TIMEOUT)
            try:
                wire.call(JOBS + "Cancel", id=self._id, force=force, reason="Ctrl-C")
            finally:
                wire.close()
        except (Failure, JobkeepError) as failure:
            _say(f"not cancelled: {failure}")


def _say(text: str) -> None:
    # Unbuffered: the signal may have come in the middle of a write to sys.stderr.
    os.write(2, f"jobkeep: {escape(text)}\n".encode(errors="backslashreplace"))


def attend(context: Context, submitted: dict[str, Any]) -> int:
    """Follow the job to its end; -> its exit status."""
    id = submitted["id"]
    shown = context.id(id)
    if context.options.quiet and not context.options.json:
        context.print(id)
        sys.stdout.flush()
    # Without a key it can only be this very request, asked twice.
    known = not submitted.get("created", True) and bool(context.options.key)
    if known:
        context.note(f"following job {shown}, which was there already")
    with Interrupts(context.link.path, id, shown) as interrupts:
        if context.options.quiet or context.options.json:
            context.link.patience = FOLLOW_PATIENCE
            job = _silently(context, id)
        else:
            follower = Follower(context.link, id)
            job = follower.to_the_end(None if known else 1)
        _tell_end(context, job, interrupts.count > 0)
    return INTERRUPTED if interrupts.count else status(job)


def _silently(context: Context, id: str) -> dict[str, Any]:
    again = f"the job goes on; jobkeep wait {context.id(id)} continues"
    while True:
        jobs = context.link.call(JOBS + "Wait", again=again, ids=[id], timeout_s=TURN)["jobs"]
        if jobs:
            return dict(jobs[0])


def _tell_end(context: Context, job: dict[str, Any], interrupted: bool) -> None:
    result = job["kind"] == "function" and job["state"] == "succeeded"
    if context.options.json:
        extra = {"result": _result(context, job)} if result else {}
        context.print_json({**job, **extra})
    elif result and not context.options.quiet:
        import json

        context.print(json.dumps(_result(context, job)))
    elif job["state"] != "succeeded" and not context.options.quiet and not _speaks_for_itself(job) and not interrupted:
        why = cause(job.get("outcome"), job["kind"])
        failure = Failure(
            f"job {context.id(job['id'])} {job['state']}" + (f": {why}" if why else ""),
            FAILED,
            f"jobkeep show {context.id(job['id'])}",
        )
        context.complain(failure)


def _result(context: Context, job: dict[str, Any]) -> Any:
    return context.link.call(JOBS + "Result", id=job["id"]).get("result")


def _speaks_for_itself(job: dict[str, Any]) -> bool:
    """A command that ended by itself has said why on its own stderr, and its exit status is passed on."""
    code = (job.get("outcome") or {}).get("exit_code")
    return bool(code) and job["kind"] == "command" and cause(job["outcome"], "command") == f"exit code {code}"


def status(job: dict[str, Any]) -> int:
    """The command's own exit status, 128+N for a signal; a function's is 0 or 1."""
    outcome = job.get("outcome") or {}
    if job["state"] == "succeeded":
        return OK
    if job["kind"] == "command" and outcome.get("signal"):
        return 128 + int(outcome["signal"])
    if job["kind"] == "command" and outcome.get("exit_code"):
        return int(outcome["exit_code"])
    return FAILED
