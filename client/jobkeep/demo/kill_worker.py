"""SIGKILL for the worker of a run, once it is certain that the process is that worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def kill_worker(pid: int, log: Path) -> bool:
    """Kill `pid` if it is a worker that holds the start log open. False: it is another process, or gone.

    The pidfd pins the process first, so that the proof and the signal mean the same one.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not _holds_open(pid, log):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def _holds_open(pid: int, file: Path) -> bool:
    wanted = file.stat()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = descriptor.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False
