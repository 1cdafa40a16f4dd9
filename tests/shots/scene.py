"""A daemon in a folder with a name that says nothing, with the demo's batch half done and others around it."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from jobkeep import BlockingJobHandle
from jobkeep.client.specs import JobOptions
from jobkeep.demo.batch import parse_library
from jobkeep.demo.kill_worker import kill_worker
from jobkeep.demo.witness import read_starts
from jobkeep.testing import PrivateDaemon

HOME = Path("/tmp/demo")
PATIENCE = 60.0


class Scene:
    """Where the pictures are taken. `batch` and `waiting` are ids."""

    def __init__(self) -> None:
        HOME.mkdir()  # two at once would draw each other's jobs
        library = HOME / "library"
        library.symlink_to(sysconfig.get_path("stdlib"))
        (HOME / ".venv").symlink_to(sys.prefix)  # of the batch: pictures show its interpreter
        self._log = HOME / "starts.log"
        self._daemon = PrivateDaemon(HOME, JOBKEEP_QUEUES_DEFAULT_LIMIT="3")

    def __enter__(self) -> Self:
        self._jk = self._daemon.start()
        try:
            self._set()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._clear()

    def _set(self) -> None:
        backup = self._command("sleep 600", name="backup", lock="disk", label={"host": "db1"})
        until(lambda: backup.info().state == "running")
        failing = self._command("echo 'curl: (7) connection refused' >&2; exit 7", name="fetch-rates")
        done = self._command("true", name="rotate-logs")
        until(lambda: failing.info().state == "failed" and done.info().state == "succeeded")
        self._command("true", name="report", delay="6h")
        arguments = {"root": "library", "log": self._log.name, "every": 10}
        function = f"{parse_library.__module__}:{parse_library.__qualname__}"
        batch = self._jk.call(function, arguments, name="parse-library", cwd=str(HOME))
        until(lambda: batch.info().progress.done > 500)
        kill_worker(read_starts(self._log)[-1].pid, self._log)
        until(lambda: batch.info().state == "failed")
        batch.resume(reason="its worker was killed")
        waiting = self._command("sleep 60", name="prune", lock="disk")
        until(lambda: batch.info().progress.done > 900 and waiting.info().state == "queued")
        self.batch, self.waiting = batch.id[:8], waiting.id[:8]

    def _command(self, text: str, **options: Unpack[JobOptions]) -> BlockingJobHandle:
        options.setdefault("cwd", str(HOME))
        return self._jk.run(["sh", "-c", text], **options)

    def _clear(self) -> None:
        with self._jk as jk:
            for job in jk.jobs(state=["running", "queued", "scheduled"]):
                jk.job(job.id).cancel(force=True)
            until(lambda: not list(jk.jobs(state=["running", "cancelling"])))
        self._daemon.stop()
        shutil.rmtree(HOME, ignore_errors=True)  # slots that are about to end write their last word

    @property
    def environment(self) -> dict[str, str]:
        """Of the commands."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
        return {**kept, "JOBKEEP_SOCKET": str(self._daemon.socket), "TERM": "xterm-256color"}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit("error: the scene is not what it should be")
        time.sleep(0.02)
