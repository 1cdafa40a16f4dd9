"""How many jobs a busy daemon runs while 100 watch all of it, against nobody watching."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from bench.commands import COMMANDS, Commands
from bench.measure import Bound, Sample
from bench.wire import BareClient
from jobkeep.protocol import jobs

WATCHERS = 100
TURNS = 2  # per round and side


class Watchers(Commands):
    name = "watchers"
    what = f"command jobs with {WATCHERS} who follow all events, in a process of their own / with nobody"
    bound = Bound(ratio_at_least=0.9)

    def _rate(self) -> float:
        return asyncio.run(self._run(COMMANDS))

    def round(self) -> Sample:
        alone, watched = 0.0, 0.0
        for _ in range(TURNS):
            alone += self._rate() / TURNS
            with Watching(self._socket) as watching:
                watched += self._rate() / TURNS
                watching.has_all()
        return Sample(alone, watched)


class Watching:
    """They follow once this is entered."""

    def __init__(self, path: str) -> None:
        self._client = BareClient(path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.watch", path, str(WATCHERS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Watching:
        self._submitted = 0
        while self._came()[0] < 1:  # of a job that waits for a year
            self._client.submit(jobs.JobSpec(command=["true"], cwd="/", delay_s=30_000_000.0))
            time.sleep(0.1)
        return self

    def has_all(self) -> None:
        """Nobody has missed what another one has."""
        least, most = self._came()
        deadline = time.monotonic() + 10
        while (least, most) != (least, least) and time.monotonic() < deadline:
            time.sleep(0.1)
            least, most = self._came()
        if most - least > 20:  # the first ones may have heard of jobs before the last one was there
            raise SystemExit(f"error: one watcher has {least} events, another one {most}")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._client.close()

    def _came(self) -> tuple[int, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        least, most = self._process.stdout.readline().split()
        return int(least), int(most)
