"""Ends what is left in the control group of a slot that is gone. Where there are groups, nobody hides from this."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import anyio
import structlog

from jobkeepd.core.model import Identity
from jobkeepd.core.signalled import Signalled
from jobkeepd.runner.process_state import command_of, identity_of
from jobkeepd.spawner import cgroup, tree

log = structlog.get_logger()
_PAUSE = 0.05
_KILL_FOR = 5.0  # seconds: who lives on then is beyond any signal, and told of
_WHY = "its run is over, and neither slot nor spawner was there to end it"


class Groups:
    """`audit` puts a signal on record."""

    def __init__(self, audit: Callable[[Signalled], None]) -> None:
        self._audit = audit

    async def end(self, slot: str, grace: float, job: str | None, run: int | None) -> None:
        """SIGTERM, and after `grace` seconds SIGKILL, until nobody is left in it but those that want to stay."""
        since = anyio.current_time()
        got: dict[int, int] = {}
        while members := cgroup.members(slot):
            leaving = [pid for pid in members if not tree.keeps(pid)]
            if not leaving:
                break
            over = anyio.current_time() - since
            if over >= grace + _KILL_FOR and signal.SIGKILL in got.values():  # never before that was tried
                log.error("stragglers_live_on", pids=leaving, slot=slot)
                return
            number = signal.SIGKILL if over >= grace else signal.SIGTERM
            for pid in leaving:
                if got.get(pid) != number:
                    got[pid] = number
                    self._put_on_record(_send(pid, slot, number), number, job, run)
            if number == signal.SIGKILL and len(leaving) == len(members):
                cgroup.kill(slot)  # those as well that have been forked since that look
            await anyio.sleep(_PAUSE)
        cgroup.leave(slot)

    def _put_on_record(self, who: Identity | None, number: int, job: str | None, run: int | None) -> None:
        if who is not None:
            self._audit(Signalled(who, (number,), _WHY, ("cgroup",), command_of(who.pid), job=job, run=run))


def _send(pid: int, slot: str, number: int) -> Identity | None:
    """To that process and no other: first the pidfd, then the proof that it is in the group."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        who = identity_of(pid, pidfd)
        if not cgroup.is_in(pid, slot):
            return None
        signal.pidfd_send_signal(pidfd, number)
        if number == signal.SIGTERM:
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        return who
    except OSError:
        return None
    finally:
        os.close(pidfd)
