"""How jobs end that do not want to: each is cancelled on a live system, timed, and looked for in /proc."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jobkeep import BlockingClient, BlockingJobHandle
from jobkeep.demo import stubborn
from jobkeep.demo.claims import Claim
from jobkeep.demo.living import Seen, alive, look
from jobkeep.demo.screen import Screen
from jobkeep.protocol.jobs import Job
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.testing import PrivateDaemon

GRACE_S = 1.0  # what the demo's jobs are given for each step; `--grace` of run and call
BOUND_S = GRACE_S + 5  # the promise: after that no process of a cancelled job is left
PATIENCE = 60.0
ITEMS = 120


class Ended(NamedTuple):
    """A job after its cancellation: how long that took, and which of its processes there had been."""

    job: Job
    took: float
    seen: list[Seen]


class Termination:
    """Tells on the screen what is done while it happens, and keeps the claims for the end."""

    def __init__(self, daemon: PrivateDaemon, screen: Screen) -> None:
        self._daemon = daemon
        self._screen = screen
        self._log = daemon.home / "processes"
        self._claims: list[Claim] = []

    def tell(self) -> list[Claim]:
        with self._daemon.start() as jk:
            self._cooperative(jk)
            self._swallows(jk)
            self._hangs(jk)
            self._command(jk)
        return self._claims

    def _cooperative(self, jk: BlockingClient) -> None:
        self._title("1. A batch that knows nothing of being stopped")
        job = self._call(jk, stubborn.cooperative, items=ITEMS)
        self._until(lambda: job.info().progress.done >= ITEMS // 4, f"job {job.id} is at a quarter")
        ended = self._cancel(job)
        kept = ended.job.progress.done
        self._say(f"It finished the item that it had in work and kept its place: {kept}/{ITEMS}. Resumed:")
        job.resume(reason="the demo goes on")
        result = job.result(timeout=PATIENCE)
        items = stubborn.items_of(self._log)
        self._say(f"{result}, in {len(job.info().runs)} runs.")
        self._claim(
            "A batch that is cancelled stops at once and loses nothing.",
            ended.job.state == "cancelled" and ended.took < BOUND_S and sorted(items) == list(range(ITEMS)),
            f"stopped in {ended.took:.2f} s at {kept}/{ITEMS}; resumed, each of {ITEMS} items was done once",
        )

    def _swallows(self, jk: BlockingClient) -> None:
        self._title("2. A function that swallows its cancellation, and ignores SIGTERM")
        job = self._call(jk, stubborn.swallows)
        ended = self._cancel(job)
        heard = list(job.logs())
        self._say(f"It said {len(heard)} times {heard[0] if heard else 'nothing'!r}. Its checkpoint is kept; resumed:")
        job.resume()
        result = job.result(timeout=PATIENCE)
        self._say(f"{result!r}")
        self._gone("What swallows its cancellation is killed.", ended, bool(heard) and "'page': 7" in str(result))

    def _hangs(self, jk: BlockingClient) -> None:
        self._title("3. A function that waits for a thread which never returns")
        job = self._call(jk, stubborn.hangs)
        ended = self._cancel(job)
        kept = ended.job.checkpoint
        self._say("Its checkpoint is kept." if kept else "Its checkpoint is GONE.")
        self._gone("What hangs in a thread is ended from outside.", ended, kept is not None)

    def _command(self, jk: BlockingClient) -> None:
        self._title("4. A command that ignores SIGTERM, with a double-forked child that does, too")
        log = self._fresh_log()
        job = jk.run(["sh", "-c", stubborn.COMMAND, str(log)], name="deaf-command", grace=f"{GRACE_S:g}s")
        self._begun(job, 2)
        self._gone("No child outlives its command.", self._cancel(job), True)

    # The parts of each

    def _call(self, jk: BlockingClient, function: Callable[..., Any], **arguments: Any) -> BlockingJobHandle:
        arguments["log"] = str(self._fresh_log())
        job = jk.call(
            f"{function.__module__}:{function.__qualname__}",
            arguments,
            python=sys.executable,
            cwd=str(self._daemon.home),
            grace=f"{GRACE_S:g}s",
        )
        self._begun(job, 1)
        return job

    def _fresh_log(self) -> Path:
        self._log = self._daemon.home / f"processes.{len(self._claims)}"
        return self._log

    def _begun(self, job: BlockingJobHandle, processes: int) -> None:
        self._until(lambda: len(look(self._log)) >= processes, f"job {job.id} has begun")
        for seen in look(self._log):
            self._say(f"Job {job.id[:8]} runs: {seen.who}, process {seen.pid}.")

    def _cancel(self, job: BlockingJobHandle) -> Ended:
        """Cancel it, and wait for its end; the time counts until none of its processes is left."""
        seen = look(self._log)
        self._say(f"$ jobkeep cancel {job.id[:8]}")
        began = time.monotonic()
        job.cancel(reason="the demo wants it to end")
        self._until(lambda: job.info().state in ENDED_STATES, f"job {job.id} has ended")
        took = time.monotonic() - began
        info = job.info()
        number = None if info.outcome is None else info.outcome.signal
        why = "it stopped by itself" if number is None else f"it was ended by {signal.Signals(number).name}"
        self._say(f"The daemon says after {took:.2f} s: {info.state}, {why}.")
        return Ended(info, took, seen)

    def _gone(self, sentence: str, ended: Ended, kept: bool) -> None:
        """Claim that it is over within the promise, that nothing of it lives, and that what it had is kept."""
        left = [seen for seen in ended.seen if alive(seen)]
        for seen in ended.seen:
            self._say(f"/proc/{seen.pid}: {'STILL THERE' if alive(seen) else 'gone'} ({seen.who})")
        self._claim(
            sentence,
            ended.job.state == "cancelled" and ended.took < BOUND_S and not left and bool(ended.seen) and kept,
            f"{ended.took:.2f} s, of at most {BOUND_S:.0f}; {len(left)} of {len(ended.seen)} processes are left",
        )

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"error: it has not come true in {PATIENCE:.0f} s that {what}")
            time.sleep(0.02)

    def _claim(self, sentence: str, holds: bool, detail: str) -> None:
        self._claims.append(Claim(sentence, holds, [detail]))

    def _title(self, text: str) -> None:
        self._screen.say()
        self._screen.say(text)

    def _say(self, text: str) -> None:
        self._screen.say(f"   {text}")
