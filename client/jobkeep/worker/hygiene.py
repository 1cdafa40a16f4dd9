"""Whether a run has left something behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

# Threads of an event loop that has just been closed need a moment, and are gone a little after their join. So many
# looks, and not so many seconds: on a starved host they get on no faster than we do. 1.5 s where nothing else runs.
_PACES_S: Final = (0.001,) * 10 + (0.01,) * 9 + (0.02,) * 70
_ENOUGH: Final = 4096


class Hygiene:
    """Threads and children, compared with how it was before the first run."""

    def __init__(self) -> None:
        self._tasks = _opened("/proc/self/task", os.O_DIRECTORY)
        self._parent = -1
        self._siblings: int | None = None
        self._us = b"%d" % os.getpid()
        self.rebase()

    def rebase(self) -> None:
        """What there is now belongs to the worker or to modules it has imported."""
        self._threads = self._thread_count()
        self._known = set(threading.enumerate())

    @property
    def threads_left(self) -> bool:
        """There are more threads than before."""
        return self._thread_count() > self._threads

    def clean(self) -> bool:
        """Nothing is left of the run: no thread, no child, and no orphan with our parent."""
        return self.threads_end() and not _has_children() and not self._has_siblings()

    def threads_end(self) -> bool:
        """Those of the run have ended, or do so within moments."""
        for pace in _PACES_S:
            if not self.threads_left:
                return True
            new = set(threading.enumerate()) - self._known
            if new:
                new.pop().join(pace)
            else:
                time.sleep(pace)
        return not self.threads_left

    def _thread_count(self) -> int:
        """Threads of all languages where that can be told, else those of Python."""
        return threading.active_count() if self._tasks is None else os.fstat(self._tasks).st_nlink - 2

    def _has_siblings(self) -> bool:
        """The parent is a shim, which adopts what a run leaves; ended processes do not count."""
        parent = os.getppid()
        if parent != self._parent:
            if self._siblings is not None:
                os.close(self._siblings)
            self._parent, self._siblings = parent, _opened(f"/proc/{parent}/task/{parent}/children", 0)
        if self._siblings is None:
            return False
        try:
            listed = os.pread(self._siblings, _ENOUGH, 0)
            if len(listed) == _ENOUGH:
                listed = os.pread(self._siblings, _ENOUGH << 4, 0)
        except OSError:
            return False
        children = listed.split()
        return children != [self._us] and any(child != self._us and _lives(child.decode()) for child in children)


def _opened(path: str, flags: int) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    except OSError:
        return None


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:  # ended, and nobody has asked for its status
            pass
    except ChildProcessError:
        return False
    return True


def _lives(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 : stat.rindex(b")") + 3] not in b"ZX"
