"""One batch and its two deaths: the worker's, then the daemon's."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

from jobkeep import BlockingClient, BlockingJobHandle
from jobkeep.demo.batch import parse_library, python_files
from jobkeep.demo.kill_worker import kill_worker
from jobkeep.demo.screen import Screen
from jobkeep.demo.witness import Start, read_starts
from jobkeep.protocol.jobs import FailedItem, Job
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.testing import PrivateDaemon

LOOK_EVERY = 0.1  # seconds between two looks at the job
PATIENCE = 120.0  # seconds in which each part of the story has to come true


class Death(NamedTuple):
    """A SIGKILL, and how the start log stood: lines before `cut` were written before it."""

    victim: str
    cut: int


class Ending(NamedTuple):
    """What is there once the batch has ended."""

    job: Job
    result: dict[str, int]
    failed: list[FailedItem]
    files: list[str]
    starts: list[Start]
    deaths: list[Death]


class Story:
    """Tells it on the screen while it happens."""

    def __init__(self, daemon: PrivateDaemon, screen: Screen, root: Path, every: int) -> None:
        self._daemon = daemon
        self._screen = screen
        self._root = root
        self._every = every
        self._log = daemon.home / "starts.log"
        self._files = python_files(str(root))
        self._deaths: list[Death] = []

    def tell(self) -> Ending:
        client = self._daemon.start()
        job = self._submit(client)
        self._watch(job, until_done=len(self._files) // 3)
        self._resume(job, self._kill_worker(job))
        self._watch(job, until_done=len(self._files) * 2 // 3)
        job = self._kill_daemon(job.id)
        last = self._watch(job, until_done=None)
        self._screen.say(f"The job has {last.state}, after {len(last.runs)} runs.")
        result = job.result() if last.state == "succeeded" else {}
        return Ending(last, result, list(job.failed_items()), self._files, read_starts(self._log), self._deaths)

    def _submit(self, client: BlockingClient) -> BlockingJobHandle:
        arguments = {"root": str(self._root), "log": str(self._log), "every": self._every}
        function = f"{parse_library.__module__}:{parse_library.__qualname__}"
        job = client.call(
            function, arguments, name="parse-library", python=sys.executable, cwd=str(self._daemon.home), on_lost="fail"
        )
        self._screen.say(
            f"Job {job.id[:8]} parses the {len(self._files)} Python files under {self._root},"
            f" with a checkpoint every {self._every} files."
        )
        return job

    def _watch(self, job: BlockingJobHandle, until_done: int | None) -> Job:
        """Follow the job until so many items are done, or (None) until it has ended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            info = job.info()
            progress = info.progress
            self._screen.progress(progress.done, progress.total, progress.tallies)
            if info.state in ENDED_STATES:
                if until_done is not None:
                    raise SystemExit(f"error: the job has {info.state} too early: {reason_of(info)}")
                return info
            if until_done is not None and progress.done >= until_done:
                return info
            if time.monotonic() > deadline:
                raise SystemExit(f"error: the job has not come further than {progress.done} in {PATIENCE:.0f} s")
            time.sleep(LOOK_EVERY)

    def _kill_worker(self, job: BlockingJobHandle) -> Job:
        """The job as it is once its worker's death is on record."""
        pid = read_starts(self._log)[-1].pid
        if not kill_worker(pid, self._log):
            raise SystemExit(f"error: process {pid} is not our worker any more")
        info = self._wait_for_failure(job)
        starts = read_starts(self._log)
        self._deaths.append(Death("worker", len(starts)))
        self._screen.say(f"SIGKILL for the worker (process {pid}) at item {len(starts)}: the job has {info.state}.")
        self._screen.say(f"    {reason_of(info)}")
        return info

    def _wait_for_failure(self, job: BlockingJobHandle) -> Job:
        since = time.monotonic()
        while time.monotonic() < since + PATIENCE:
            info = job.info()
            if info.state in ENDED_STATES:
                return info
            time.sleep(LOOK_EVERY / 5)
        raise SystemExit("error: nobody noticed that the worker is dead")

    def _resume(self, job: BlockingJobHandle, failed: Job) -> None:
        job.resume(reason="the demo killed its worker")
        self._screen.say(f"Resumed, to go on behind item {failed.progress.done}, its last checkpoint.")

    def _kill_daemon(self, id: str) -> BlockingJobHandle:
        self._daemon.kill()
        cut = len(read_starts(self._log))
        self._deaths.append(Death("daemon", cut))
        self._screen.say(f"SIGKILL for the daemon at item {cut}.")
        began = time.monotonic()
        time.sleep(0.5)  # no wait for anything: the time in which the job has to do without a daemon
        alone = len(read_starts(self._log)) - cut
        client = self._daemon.start()
        job = client.job(id)
        info = job.info()
        took = time.monotonic() - began - 0.5
        self._screen.say(
            f"Without a daemon the worker began {alone} more items; after {took:.1f} s a new daemon has the job"
            f" again: {info.state}, run {info.attempt}."
        )
        return job


def reason_of(info: Job) -> str:
    outcome = info.outcome
    if outcome is None:
        return "no outcome is known"
    if outcome.error is not None:
        return f"{outcome.kind}: {outcome.error.type}: {outcome.error.message}"
    return f"{outcome.kind}: {outcome.reason or 'no reason given'}"
