"""Processes that hold locks: who they are, whether they live, and when they end. Implements base.Processes."""

from __future__ import annotations

import os

import anyio

from jobkeepd.core.model import Identity
from jobkeepd.runner import identity
from jobkeepd.runner.identity import Match

_LOOK_AGAIN = 1.0  # seconds, where no pidfd can be had


class HostProcesses:
    def identify(self, pid: int) -> Identity | None:
        try:
            return identity.read_identity(pid)
        except OSError:
            return None

    def alive(self, who: Identity) -> bool | None:
        match identity.compare(who):
            case Match.SAME:
                return not identity.has_ended(who)
            case Match.UNKNOWN:
                return None
            case _:
                return False

    async def ended(self, who: Identity) -> None:
        while (pidfd := identity.open_same(who)) is None:
            if self.alive(who) is False:
                return
            await anyio.sleep(_LOOK_AGAIN)
        try:
            await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)
