"""One line on the terminal that tells how a followed job is doing; gone before anything else is written."""

from __future__ import annotations

import os
import sys
import threading
import time

from jobkeep.cli.failures import Failure
from jobkeep.cli.render.progress import full, tallies
from jobkeep.cli.render.text import clip, escape
from jobkeep.cli.render.times import ago
from jobkeep.cli.wire import JOBS, Wire
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIRST, EVERY = 1.0, 0.5  # seconds until the first look, and between two
ANSWER = 5.0  # seconds; a look without an answer is left out
ERASE = "\r\x1b[K"


def possible() -> bool:
    """Whether stderr is a terminal that can erase a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def line(job: dict[str, Any], shown: str, now: float) -> str:
    """What there is to say: that it waits, or how far it is. Empty for a job that runs and reports nothing."""
    state, progress = job["state"], job.get("progress") or {}
    held = f": {escape(job['held'])}" if job.get("held") else ""
    if state == "queued":
        return f"job {shown} is queued{held}"
    if state == "scheduled":
        return f"job {shown} is scheduled" + (f", due {ago(job['due_at'], now)}" if job.get("due_at") else "")
    if not (progress.get("done") or progress.get("total") or progress.get("note")):
        return ""
    how_far = full(progress, job.get("elapsed_s"), state == "running", True)
    parts = [how_far, tallies(progress), escape(progress.get("note") or "")]
    return "  ".join(part for part in parts if part)


class Live:
    """Draws it from a thread that asks over a connection of its own. Whoever writes holds `lock` and erases first."""

    def __init__(self, path: str, id: str, shown: str) -> None:
        self.lock = threading.RLock()  # the handler of Ctrl-C may come while its own thread holds it
        self.at_line_start = True  # elsewhere nothing is drawn: erasing would take the job's own words along
        self._path = path
        self._id = id
        self._shown = shown
        self._over = threading.Event()
        self._drawn = False
        self._wire: Wire | None = None

    def __enter__(self) -> Live:
        threading.Thread(target=self._keep_drawing, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self._over.set()
            self.erase()

    def erase(self) -> None:
        """Take the line away until the next look."""
        with self.lock:
            if self._drawn:
                os.write(2, ERASE.encode())
                self._drawn = False

    def _keep_drawing(self) -> None:
        pause = FIRST
        while not self._over.wait(pause):
            pause = EVERY
            job = self._look()
            text = line(job, self._shown, time.time()) if job else ""
            with self.lock:
                if not self._over.is_set():
                    self._draw(text)

    def _draw(self, text: str) -> None:
        if not text or not self.at_line_start:
            self.erase()
            return
        try:
            columns = os.get_terminal_size(2).columns or 80
            encoding = sys.stderr.encoding or "ascii"
            os.write(2, (ERASE + clip(text, columns - 1)).encode(encoding, "backslashreplace"))
        except OSError:
            self._over.set()  # the terminal is gone
        self._drawn = True

    def _look(self) -> dict[str, Any] | None:
        try:
            self._wire = self._wire or Wire(self._path, ANSWER)
            job: dict[str, Any] = self._wire.call(JOBS + "Get", id=self._id)["job"]
        except (Failure, JobkeepError):
            if self._wire is not None:
                self._wire.close()
            self._wire = None
            return None
        return job
