"""Processes that a job starts and that end with it, at the latest when its function has ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio

from jobkeep.sdk.stops import Stops

GRACE_S = 2.0  # between TERM and KILL, once the function has ended
PACE_S = 0.1  # a plain function that waits for a child looks so often whether it should stop


class Process:
    """A child by its pidfd: what is sent reaches that very process, or nobody."""

    def __init__(self, argv: Sequence[str], cwd: str | None, env: Mapping[str, str] | None) -> None:
        self.argv: list[str] = list(argv)
        self._popen = subprocess.Popen(self.argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL)
        self.pid: int = self._popen.pid
        self._pidfd = os.pidfd_open(self.pid)

    @property
    def returncode(self) -> int | None:
        """Its exit status, -N if signal N has ended it; None while it runs."""
        if self._popen.returncode is None and self.ends_within(0):
            self._popen.wait()
            os.close(self._pidfd)
        return self._popen.returncode

    def terminate(self) -> None:
        """SIGTERM. Nothing happens if it has ended."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL. Nothing happens if it has ended."""
        self._send(signal.SIGKILL)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for its end, with the whole thread."""
        if self._popen.returncode is not None:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def _send(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)


class Child(Process):
    """What JobContext.spawn has started."""

    async def wait(self) -> int:
        """Until it has ended; its exit status."""
        while (code := self.returncode) is None:
            descriptor = os.dup(self._pidfd)  # readable from its end on; several may wait
            try:
                await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        return code


class BlockingChild(Process):
    """What BlockingJobContext.spawn has started."""

    def __init__(
        self, argv: Sequence[str], cwd: str | None, env: Mapping[str, str] | None, stops: Stops
    ) -> None:
        super().__init__(argv, cwd, env)
        self._stops = stops

    def wait(self) -> int:
        """Until it has ended; its exit status. Raises Stopped."""
        while (code := self.returncode) is None:
            self._stops.check()
            self.ends_within(PACE_S)
        return code


class Children:
    """Of one run. Not thread-safe."""

    def __init__(self) -> None:
        self._living: list[Process] = []

    def add(self, process: Process) -> None:
        """It is to end with the run."""
        self._living = [older for older in self._living if older.returncode is None] + [process]

    def end(self) -> None:
        """TERM for those that live, and KILL for those that live on after GRACE_S; none is left."""
        for process in self._living:
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in self._living:
            process.ends_within(deadline - time.monotonic())
            process.kill()
        for process in self._living:
            while process.returncode is None:
                process.ends_within(GRACE_S)
        self._living.clear()
