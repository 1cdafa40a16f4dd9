"""Lets another thread call functions in the event loop of a job, without ever waiting for that loop."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import anyio


class Doorbell:
    """A pipe that wakes the loop. What is rung for while no loop serves is called in the next one."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._calls: deque[Callable[[], object]] = deque()

    def ring(self, call: Callable[[], object]) -> None:
        """Have `call` called in the loop soon. From any thread."""
        self._calls.append(call)
        with suppress(BlockingIOError):  # it is ringing already
            os.write(self._write, b"!")

    def close(self) -> None:
        """Nobody rings any more."""
        os.close(self._read)
        os.close(self._write)

    async def serve(self) -> None:
        """Answer, until cancelled."""
        while True:
            await anyio.wait_readable(self._read)
            with suppress(BlockingIOError):
                os.read(self._read, 4096)
            while self._calls:
                self._calls.popleft()()
