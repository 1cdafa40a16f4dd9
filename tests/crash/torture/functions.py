"""The functions of the load. Copied into the home, from where the workers import it; it leaves marks as commands do."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jobkeep import BlockingJobContext, JobContext

Context = JobContext | BlockingJobContext


class Marks:
    """The start log's files for one run, as judges.StartLog has them for a shell."""

    def __init__(self, ctx: Context, label: str, log: str) -> None:
        self._folder = Path(log)
        self.run = f"{ctx.job_id}.{ctx.run_number}"
        self._make("start", str(os.getpid())) or self._make(f"again.{os.getpid()}", "")
        self._live = os.open(self._folder / f"live.{ctx.job_id}", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._live, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._make("two_live", "")
        print(f"{label} run {ctx.run_number} stdout")
        print(f"{label} run {ctx.run_number} stderr", file=sys.stderr)

    def end(self, words: str) -> None:
        self._make("end", words)
        os.close(self._live)

    def item(self, item: int) -> None:
        """One line for each start of an item, appended whole."""
        job, _, number = self.run.partition(".")
        line = os.open(self._folder / f"items.{job}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(line, f"{number} {item}\n".encode())
        os.close(line)

    def _make(self, kind: str, words: str) -> bool:
        try:
            mark = os.open(self._folder / f"{kind}.{self.run}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            if error.errno == errno.EEXIST:
                return False
            raise
        os.write(mark, words.encode())
        os.close(mark)
        return True


def _outcome(marks: Marks) -> Callable[[int], str]:
    def outcome(item: int) -> str:
        marks.item(item)
        if item % 10 == 3:
            raise ValueError(f"item {item} is bad")
        return "even" if item % 2 == 0 else "odd"

    return outcome


async def batch(ctx: JobContext, label: str, log: str, count: int, pause: float, concurrency: int) -> dict[str, int]:
    """A batch whose items wait."""
    marks = Marks(ctx, label, log)
    outcome = _outcome(marks)

    async def one(item: int) -> str:
        await ctx.sleep(pause)
        return outcome(item)

    try:
        return dict((await ctx.for_each(range(count), one, key=str, every=5, concurrency=concurrency)).tallies)
    finally:
        marks.end("returned")


def plain_batch(
    ctx: BlockingJobContext, label: str, log: str, count: int, pause: float, concurrency: int
) -> dict[str, int]:
    """A batch of a plain function, one item at a time."""
    marks = Marks(ctx, label, log)
    outcome = _outcome(marks)

    def one(item: int) -> str:
        time.sleep(pause)
        return outcome(item)

    try:
        return dict(ctx.for_each(range(count), one, key=str, every=5).tallies)
    finally:
        marks.end("returned")


def echo(ctx: BlockingJobContext, label: str, log: str, pause: float) -> str:
    """One deed, which nobody may do twice for the same run."""
    marks = Marks(ctx, label, log)
    try:
        ctx.sleep(pause)
        return label
    finally:
        marks.end("returned")


def raises(ctx: BlockingJobContext, label: str, log: str, pause: float) -> str:
    """Fails, and says with what."""
    marks = Marks(ctx, label, log)
    try:
        ctx.sleep(pause)
        raise LookupError(label)
    finally:
        marks.end("raised")
