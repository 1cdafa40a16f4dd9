"""One leader in one slot, as the daemon sees it; and what its records say of it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Awaitable, Callable
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
_INFO = struct.Struct("QQ11Ii")


class ShimExecution:
    """Implements Execution. Its slot tells it what happened, and delivers its signals."""

    def __init__(self, run: str, leader: Identity, deliver: Deliver) -> None:
        self.run = run
        self._leader = leader
        self._deliver = deliver
        self._exited: Latch[Exit | None] = Latch()
        self._drained: Latch[None] = Latch()
        self.silent = False
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
        return await self._exited.wait()

    async def drained(self) -> None:
        await self._drained.wait()

    async def signal(self, number: int) -> None:
        if not self.has_exited:
            await self._deliver(self, "signal", number)

    async def end(self) -> None:
        self.ending = True
        if not self.has_drained:
            await self._deliver(self, "end", 0)

    def note_exit(self, exit: Exit | None) -> None:
        self._exited.set(exit)

    def note_drained(self, silent: bool = False) -> None:
        self.silent = self.silent or silent
        self._drained.set(None)


def exit_on_record(runtime: str, run: str) -> Exit | None:
    """How the leader ended; None if that is not on record, or it never started."""
    end = record.read(runtime, run, record.EXIT)
    return None if end is None or "failed" in end else exit_of(end)


def exit_of(end: dict[str, Any]) -> Exit:
    user, system, rss = end["usage"]
    return Exit(end["status"], end["ended_at"], Usage(user, system, rss), end["writer"])


def failure_on_record(runtime: str, run: str) -> StartFailed | None:
    """Why the run never started, if that is on record."""
    end = record.read(runtime, run, record.EXIT)
    return None if end is None or "failed" not in end else failure_of(end)


def failure_of(end: dict[str, Any]) -> StartFailed:
    failed = end["failed"]
    return StartFailed(failed["stage"], failed["message"], failed["errno"])


def leader_on_record(runtime: str, run: str) -> Identity | None:
    """Who the leader is; None means that its gate never opened."""
    begun = record.read(runtime, run, record.LEADER)
    return None if begun is None else Identity(*begun["leader"])


async def exit_by_kernel(leader: Identity) -> Exit | None:
    """Wait for a leader that slot and spawner have left behind. Linux 6.15 and later can still tell its status."""
    pidfd = identity.open_same(leader)
    if pidfd is None:
        return None
    try:
        await anyio.wait_readable(pidfd)
        for _ in range(20):  # readable is a zombie; the status is there once somebody has reaped it
            status = _status_of(pidfd)
            if status is not None:
                return Exit(status, SystemClock().now(), None, "pidfd")
            await anyio.sleep(0.02)
        return None
    finally:
        os.close(pidfd)


def _status_of(pidfd: int) -> int | None:
    asked = _INFO.pack(_PIDFD_INFO_EXIT, *(0,) * 13)
    try:
        mask, *_, status = _INFO.unpack(fcntl.ioctl(pidfd, _PIDFD_GET_INFO, asked))
    except OSError:
        return None
    return int(status) if mask & _PIDFD_INFO_EXIT else None
