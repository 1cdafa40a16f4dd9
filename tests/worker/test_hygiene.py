"""Whether a run has left something behind."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from jobkeep.worker import hygiene


class Late(threading.Thread):
    """Ends when it has been waited for three times."""

    def __init__(self) -> None:
        self._gate = threading.Event()
        self._left = 3
        super().__init__(target=self._gate.wait)

    def join(self, timeout: float | None = None) -> None:
        self._left -= 1
        if self._left == 0:
            self._gate.set()
        super().join(timeout)


def test_a_thread_that_is_late_on_a_starved_host_is_not_one_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute between any two looks is no reason to call a run unclean."""
    minutes = itertools.count(step=60)
    clock = SimpleNamespace(monotonic=lambda: float(next(minutes)), sleep=time.sleep)
    monkeypatch.setattr(hygiene, "_opened", lambda *_: None)  # only a worker's end would close what that opens
    before = hygiene.Hygiene()
    late = Late()
    late.start()
    monkeypatch.setattr(hygiene, "time", clock)
    assert before.threads_left
    assert before.threads_end()
    late.join()
