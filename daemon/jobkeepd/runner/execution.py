"""One leader in one slot, as the daemon sees it; and what its records say of it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from jobkeepd.clock import SystemClock
from jobkeepd.core.model import Exit, Identity, Usage
from jobkeepd.errors import StartFailed
from jobkeepd.latch import Latch
from jobkeepd.runner import identity
from jobkeepd.spawner import record

Deliver = Callable[["ShimExecution", str, int], Awaitable[None]]

# struct pidfd_info of linux/pidfd.h, first version: mask, cgroup, twelve 32-bit fields of which exit_code is the last
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_REFUSED = 127 << 8
_INFO = struct.Struct("QQ11Ii")


class ShimExecution:
    """Implements Execution. Its slot tells it what happened, and delivers its signals."""

    def __init__(self, run: str, leader: Identity, deliver: Deliver) -> None:
        self.run = run
        self._leader = leader
        self._deliver = deliver
        self._exited: Latch[Exit | StartFailed | None] = Latch()
        self._drained: Latch[None] = Latch()
        self.silent = False
        self.proven = False
        self.left: dict[str, Any] = {}  # once drained: who was signalled to get that far, see spawner/leftovers.py
        self.on_survivors: Callable[[Sequence[Sequence[Any]]], None] = lambda told: None  # of SIGKILL, after a while
        self.ending = False  # an order that must be given again if whoever had it is gone

    @property
    def leader(self) -> Identity:
        return self._leader

    @property
    def has_exited(self) -> bool:
        return self._exited.is_set

    @property
    def has_drained(self) -> bool:
        return self._drained.is_set

    async def exited(self) -> Exit | None:
        end = await self._exited.wait()
        if isinstance(end, StartFailed):
            raise end
        return end

    async def drained(self) -> None:
        await self._drained.wait()

    async def signal(self, number: int) -> None:
        if not self.has_exited:
            await self._deliver(self, "signal", number)

    async def end(self) -> None:
        self.ending = True
        if not self.has_drained:
            await self._deliver(self, "end", 0)

    def note_exit(self, end: Exit | StartFailed | None) -> None:
        self._exited.set(end)

    def note_drained(self, *, silent: bool = False, proven: bool = True, left: dict[str, Any] | None = None) -> None:
        if not self.has_drained:
            self.silent, self.proven, self.left = silent, proven, left or {}
        self._drained.set(None)


def exit_on_record(runtime: str, run: str) -> Exit | None:
    """How the leader ended; None if that is not on record, or it never started."""
    end = record.read(runtime, run, record.EXIT)
    return None if end is None or "failed" in end else exit_of(end)


def end_on_record(runtime: str, run: str) -> Exit | StartFailed | None:
    """How the leader ended, or why it never ran, whichever is on record."""
    return exit_on_record(runtime, run) or failure_on_record(runtime, run)


def exit_of(end: dict[str, Any]) -> Exit:
    user, system, rss = end["usage"]
    return Exit(end["status"], end["ended_at"], Usage(user, system, rss), end["writer"], end.get("oom", 0))


def failure_on_record(runtime: str, run: str) -> StartFailed | None:
    """Why the run never started, if that is on record."""
    end = record.read(runtime, run, record.EXIT)
    return None if end is None or "failed" not in end else failure_of(end)


def failure_of(end: dict[str, Any]) -> StartFailed:
    failed = end["failed"]
    return StartFailed(failed["stage"], failed["message"], failed["errno"])


def left_on_record(runtime: str, run: str) -> dict[str, Any]:
    """Who was signalled once the leader had ended."""
    for kind in (record.DRAINED, record.EXIT):
        said = record.read(runtime, run, kind)
        if said is not None and "left" in said:
            return dict(said["left"])
    return {}


def leader_on_record(runtime: str, run: str) -> Identity | None:
    """Who the leader is; None means that its gate never opened."""
    begun = record.read(runtime, run, record.LEADER)
    return None if begun is None else Identity(*begun["leader"])


async def exit_by_kernel(leader: Identity) -> Exit | None:
    """Wait for a leader that slot and spawner have left behind. Linux 6.15 and later can still tell its status.

    Of one that was still about to exec 127 says nothing: it ends so itself where exec is refused.
    """
    pidfd = identity.open_same(leader)
    if pidfd is None:
        return None
    try:
        ran = _has_run(leader.pid)
        await anyio.wait_readable(pidfd)
        for _ in range(20):  # readable is a zombie; the status is there once somebody has reaped it
            status = _status_of(pidfd)
            if status is not None:
                return Exit(status, SystemClock().now(), None, "pidfd") if ran or status != _REFUSED else None
            await anyio.sleep(0.02)
        return None
    finally:
        os.close(pidfd)


def _has_run(pid: int) -> bool:
    try:
        return record.came_to_exec(pid)
    except OSError:  # it is gone by now
        return False


def _status_of(pidfd: int) -> int | None:
    asked = _INFO.pack(_PIDFD_INFO_EXIT, *(0,) * 13)
    try:
        mask, *_, status = _INFO.unpack(fcntl.ioctl(pidfd, _PIDFD_GET_INFO, asked))
    except OSError:
        return None
    return int(status) if mask & _PIDFD_INFO_EXIT else None
