"""Who is at the helm of a worker's connections: the main thread while it is idle, else the link thread if need be.

So a short run costs no switch of threads; a run that takes longer, or waits for a reply, gets the link thread there.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PACE_MS: Final = 5  # a run that is seen at two paces gets the link thread to the helm


class Helm:
    """`turn` is one turn of the work at the helm; it returns early when the helm rings."""

    def __init__(self, turn: Callable[[], None]) -> None:
        self._turn = turn
        self._lock = threading.Lock()
        self._lock.acquire()  # the main thread's, until the first run
        self._is_mine = True  # the main thread has it
        self._serial = 0  # odd while a job runs; written by the main thread only
        self._relieved = False  # the link thread is at the helm
        self._parked = False  # the link thread sleeps until it is rung for
        self._called = False  # it is wanted at the helm
        self._over = False
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._bell = select.poll()
        self._bell.register(self._read, select.POLLIN)
        self._thread = threading.Thread(target=self._stand_by, name="jobkeep link", daemon=True)

    def fileno(self) -> int:
        """Readable when it has been rung for whoever is at the helm."""
        return self._read

    # Main thread

    def start(self) -> None:
        self._thread.start()

    def take(self) -> None:
        """Be at the helm; no job runs."""
        if self._is_mine:
            return
        if not self._lock.acquire(blocking=False):
            self._ring()
            self._lock.acquire()
        self._is_mine = True

    def leave_for_run(self) -> None:
        """A job begins."""
        self._serial += 1
        self._is_mine = False
        self._lock.release()
        if self._parked:  # read after serial was written; the link thread does it the other way round
            self._parked = False
            self._ring()

    def run_ended(self) -> None:
        """The job has ended; `take` may follow."""
        self._serial += 1

    def stop(self) -> None:
        """End the link thread."""
        self._over = True
        self._ring()
        self._thread.join()

    # Any thread

    def wake(self) -> None:
        """Have the link thread at the helm while a job runs, and make it look at what has changed."""
        self._called = True
        self._ring()

    def attend(self) -> None:
        """See to it that somebody is there."""
        if not self._relieved:
            self.wake()

    def answer(self) -> None:
        """Whoever is at the helm has heard the bell."""
        self._called = False
        self._hush()

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            os.write(self._write, b"w")

    def _hush(self) -> None:
        with suppress(BlockingIOError):  # the other thread was faster
            os.read(self._read, 4096)

    # The link thread

    def _stand_by(self) -> None:
        seen = 0
        while not self._over:
            if not self._called:
                self._await_ring(PACE_MS)
            called, self._called = self._called, False
            serial = self._serial
            if serial & 1:
                if called or serial == seen:
                    self._relieve(serial)
            elif serial == seen:
                self._parked = True
                if self._serial == serial and not self._over:
                    self._await_ring(None)
                self._parked = False
            seen = serial

    def _await_ring(self, patience_ms: int | None) -> None:
        if self._bell.poll(patience_ms):
            self._hush()

    def _relieve(self, serial: int) -> None:
        """Be at the helm until that run has ended."""
        if not self._lock.acquire(blocking=False):
            return  # it has ended: the main thread is there
        self._relieved = True
        try:
            while self._serial == serial:
                self._turn()
        finally:
            self._relieved = False
            self._lock.release()
