"""Proof that a process is the one on record, and signals that reach no other one.

Unverifiable is not mismatched, and neither is verified: only `SAME` may be signalled.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import Enum

import structlog

from jobkeepd.core.model import Identity
from jobkeepd.core.signalled import Signalled
from jobkeepd.runner import process_state
from jobkeepd.runner.process_state import identity_of
from jobkeepd.spawner import record

log = structlog.get_logger()


class Match(Enum):
    SAME = "same"
    OTHER = "other"  # another boot, or another process that got the pid
    GONE = "gone"
    UNKNOWN = "unknown"  # the kernel would not tell


def read_identity(pid: int) -> Identity | None:
    """Who has this pid now; None if nobody has."""
    try:
        return Identity(record.boot_id(), pid, record.start_ticks(pid), record.pidfd_inode(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None


def compare(recorded: Identity) -> Match:
    """Whether the process on record still has its pid. It may end right after: signal through `open_same`."""
    if recorded.boot_id != record.boot_id():
        return Match.OTHER
    try:
        now = read_identity(recorded.pid)
    except OSError:
        return Match.UNKNOWN
    if now is None:
        return Match.GONE
    same_inode = recorded.pidfd_inode in (None, now.pidfd_inode)
    return Match.SAME if now.start_ticks == recorded.start_ticks and same_inode else Match.OTHER


def open_same(recorded: Identity) -> int | None:
    """A pidfd of the process on record, or None unless that is proven. The caller closes it.

    The pidfd comes first: it keeps to its process, so if the identity read after it is the recorded one, it is the
    pidfd's.
    """
    try:
        pidfd = os.pidfd_open(recorded.pid)
    except OSError:
        return None
    if compare(recorded) is Match.SAME:
        return pidfd
    os.close(pidfd)
    return None


def has_ended(recorded: Identity) -> bool:
    """Whether it is gone or a zombie. Other processes and unknown ones count as ended and as running, respectively."""
    match compare(recorded):
        case Match.SAME:
            pidfd = open_same(recorded)
            if pidfd is None:
                return True
            try:
                return process_state.has_ended(pidfd)
            finally:
                os.close(pidfd)
        case Match.UNKNOWN:
            return False
        case _:
            return True


def wake(lock: str, audit: Callable[[Signalled], None]) -> None:
    """Have a stopped process that holds `lock` go on: until then it answers nothing, and records nothing."""
    holder = record.lock_holder(lock)
    if holder is None:
        return
    try:
        pidfd = os.pidfd_open(holder)
    except ProcessLookupError:
        return
    try:
        who = identity_of(holder, pidfd)
        # The same holder as before, so the pidfd is of the process that holds it.
        if record.lock_holder(lock) == holder and _is_stopped(holder):
            log.warning("stopped_process_continued", pid=holder, lock=os.path.basename(lock))
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
            why = f"it was stopped, and holds {os.path.basename(lock)}"
            audit(Signalled(who, (signal.SIGCONT,), why, ("record",)))
    except OSError:  # it has ended
        return
    finally:
        os.close(pidfd)


def _is_stopped(pid: int) -> bool:
    """Whether a signal such as SIGSTOP holds the process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split(None, 1)[0] == b"T"
    except (FileNotFoundError, ProcessLookupError):
        return False


def send(recorded: Identity, number: int) -> bool:
    """Signal the process on record; False if it is gone, or not proven to be that one."""
    pidfd = open_same(recorded)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pidfd)
    return True
