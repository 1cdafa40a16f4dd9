"""Processes that die, whose pids others get: `python -m runner.reuse COUNT`, in a pid namespace of its own.

For it moves the number after which the kernel looks for the next pid: beside it, no test could know anything by pid.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

from jobkeepd.core.model import Identity
from jobkeepd.runner import glance, identity
from jobkeepd.runner.reaper import PidfdReaper

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
AWAY = 1000  # from those that are in use
ME = os.getuid()


def _spawn_as(pid: int) -> int:
    """Start a process that gets this pid, as nearly as the kernel allows; who it is then."""
    LAST_PID.write_text(str(pid - 1))
    return os.posix_spawn("/bin/sleep", ["sleep", "600"], {})


def _end(pid: int) -> None:
    os.kill(pid, 9)
    os.waitpid(pid, 0)


async def wrongs(reuses: int) -> int:
    """How often a successor was taken for the one before, by any of our ways: the identity on record, and what was
    seen. A pid and its start may both be the same."""
    reused = wrong = 0
    reaper = PidfdReaper(ME)
    while reused < reuses:
        victim = _spawn_as(AWAY)
        who, sight = identity.read_identity(victim), glance.see(victim, ME)
        close = None if sight is None else glance.closer(sight, ME)
        _end(victim)
        successor = _spawn_as(victim)
        try:
            if successor != victim or who is None or close is None:
                continue
            reused += 1
            ended = await reaper.end([close], 0.05)
            wrong += identity.send(who, 9) or bool(ended[0].sent) or _has_ended(successor)
            wrong += identity.compare(who) is not identity.Match.OTHER
        finally:
            _end(successor)
    return wrong


def _has_ended(pid: int) -> bool:
    now = identity.read_identity(pid)
    return now is None or identity.has_ended(Identity(now.boot_id, pid, now.start_ticks, now.pidfd_inode))


if __name__ == "__main__":
    assert os.getpid() == 1, "not in a pid namespace of its own"
    print(anyio.run(wrongs, int(sys.argv[1])))
