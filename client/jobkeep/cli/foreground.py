"""Stay with a job that was just submitted: its output is ours, and so is its end. Ctrl-C cancels it."""

from __future__ import annotations

import os
import signal
import sys

from jobkeep.cli import live
from jobkeep.cli.failures import FAILED, INTERRUPTED, Failure
from jobkeep.cli.follow import Follower
from jobkeep.cli.render.outcome import advice, cause, status, told_after
from jobkeep.cli.render.text import escape, json_text
from jobkeep.cli.submit import tell_wait
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS, Wire
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.wire import Link

CANCEL_TIMEOUT = 5.0
TURN = 10.0  # seconds per Wait; a dead connection is noticed after each


class Interrupts:
    """Ctrl-C while following: first cancels the job, second forces it, third leaves. A job of others is only left.

    The handler does not raise but cancels over a connection of its own, so that the stream being read stays whole.
    """

    def __init__(self, context: Context, id: str, ours: bool) -> None:
        self._context = context
        self._path = context.link.path
        self._id = id
        self._shown = context.id(id)
        self._ours = ours
        self.count = 0

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def cancel(self, reason: str, force: bool = False) -> str | None:
        """Have the job cancelled; -> why that failed."""
        try:
            wire = Wire(self._path, CANCEL_TIMEOUT)
            try:
                wire.call(JOBS + "Cancel", id=self._id, force=force, reason=reason)
            finally:
                wire.close()
        except (Failure, JobkeepError) as failure:
            return str(failure)
        return None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._context.clear_line()
        self.count += 1
        if not self._ours:
            _say(f"no longer following; job {self._shown}, which was there already, goes on")
            raise KeyboardInterrupt
        if self.count > 2:
            _say(f"no longer following; jobkeep show {self._shown} tells how it ends")
            raise KeyboardInterrupt
        force = self.count == 2
        again = "" if force else " (Ctrl-C again forces it)"
        _say(f"{'killing' if force else 'cancelling'} job {self._shown}{again}")
        failed = self.cancel("Ctrl-C", force)
        if failed:
            _say(f"not cancelled: {failed}")


def _say(text: str) -> None:
    # Unbuffered: the signal may have come in the middle of a write to sys.stderr. The terminal has echoed ^C.
    begin = "\n" if os.isatty(2) else ""
    os.write(2, f"{begin}jobkeep: {escape(text)}\n".encode(errors="backslashreplace"))


class PlainFollower(Follower):
    """Says once why a job does not begin: without a live line nothing else would."""

    def __init__(self, context: Context, id: str) -> None:
        super().__init__(context.link, id)
        self._context = context

    def waits(self) -> None:
        tell_wait(self._context, self._id)


class LiveFollower(Follower):
    """Makes room for the output on a terminal that also has a live line."""

    def __init__(self, link: Link, id: str, line: live.Live) -> None:
        super().__init__(link, id)
        self._line = line

    def gap(self, size: int) -> None:
        with self._line.lock:
            self._line.erase()
            super().gap(size)

    def write(self, stream: str, data: bytes) -> None:
        with self._line.lock:
            self._line.erase()
            super().write(stream, data)
            if (sys.stdout if stream == "stdout" else sys.stderr).isatty():
                self._line.at_line_start = data.endswith(b"\n")


def attend(context: Context, submitted: dict[str, Any], ours: bool) -> int:
    """Follow the job to its end; -> its exit status. `ours`: this very command line made the job."""
    id = submitted["id"]
    with Interrupts(context, id, ours) as interrupts:
        try:
            job = _to_the_end(context, id, ours)
            _tell_end(context, job, interrupts.count > 0)
            sys.stdout.flush()
        except BrokenPipeError:
            if ours:  # `jobkeep run -- yes | head`: without a reader the command would have ended, too
                interrupts.cancel("nobody reads its output any more")
            raise
    return INTERRUPTED if interrupts.count else status(job)


def _to_the_end(context: Context, id: str, ours: bool) -> dict[str, Any]:
    shown = context.id(id)
    if context.options.quiet and not context.options.json:
        context.print(id)
        sys.stdout.flush()
    if not ours:
        context.note(f"following job {shown}, which was there already")
    if context.options.quiet or context.options.json:
        context.link.patience = FOLLOW_PATIENCE
        return _silently(context, id)
    begin = 1 if ours else None
    if not live.possible():
        return PlainFollower(context, id).to_the_end(begin)
    with live.Live(context.link.path, id, shown) as context.live:
        return LiveFollower(context.link, id, context.live).to_the_end(begin)


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
        context.print(json_text(_result(context, job), sys.stdout.encoding))
    elif job["state"] != "succeeded" and not context.options.quiet and not _speaks_for_itself(job) and not interrupted:
        why, shown = cause(job.get("outcome"), job["kind"]), context.id(job["id"])
        told = f": {told_after(job['state'], why)}" if why else ""
        context.complain(Failure(f"job {shown} {job['state']}{told}", FAILED, advice(job, shown)))


def _result(context: Context, job: dict[str, Any]) -> Any:
    return context.link.call(JOBS + "Result", id=job["id"]).get("result")


def _speaks_for_itself(job: dict[str, Any]) -> bool:
    """A command that ended by itself has said why on its own stderr, and its exit status is passed on."""
    code = (job.get("outcome") or {}).get("exit_code")
    return bool(code) and job["kind"] == "command" and cause(job["outcome"], "command") == f"exit code {code}"
