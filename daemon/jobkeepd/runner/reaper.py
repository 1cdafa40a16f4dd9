"""Ends processes that nobody owns, each through a pidfd and after a second look at it. Implements base.Reaper."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import anyio
from msgspec import Struct

from jobkeepd.core.model import Identity
from jobkeepd.core.sight import Sight
from jobkeepd.runner.base import Ended
from jobkeepd.runner.glance import see, uid_of
from jobkeepd.runner.process_state import has_ended
from jobkeepd.spawner import record

_DIES_WITHIN = 5.0  # seconds after SIGKILL; who lives on then is in the kernel's hands
_LOOK_EVERY = 0.02


class Held(Struct):
    """One that is proven to be the process that was seen, by a pidfd that keeps to it."""

    sight: Sight
    who: Identity
    pidfd: int
    sent: tuple[int, ...] = ()

    def send(self, *numbers: int) -> None:
        for number in numbers:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except OSError:  # it has just ended, or has become another user's
                return
            self.sent += (number,)

    @property
    def ended(self) -> bool:
        return has_ended(self.pidfd)


class PidfdReaper:
    """For processes of `uid` alone."""

    def __init__(self, uid: int) -> None:
        self._uid = uid

    async def end(self, sights: Sequence[Sight], grace: float) -> list[Ended]:
        taken = await anyio.to_thread.run_sync(lambda: [self._take(sight) for sight in sights])
        held = [each for each in taken if isinstance(each, Held)]
        try:
            for each in held:
                each.send(signal.SIGTERM, signal.SIGCONT)
            await _until_ended(held, grace)
            for each in held:
                if not each.ended:
                    each.send(signal.SIGKILL)
            await _until_ended(held, _DIES_WITHIN)
            return [_outcome(each) if isinstance(each, Held) else each for each in taken]
        finally:
            for each in held:
                os.close(each.pidfd)

    def _take(self, sight: Sight) -> Held | Ended:
        """First the pidfd, then the proof: from then on a signal reaches this process or none."""
        try:
            pidfd = os.pidfd_open(sight.pid)
        except ProcessLookupError:
            return Ended(sight, None, why="it has ended by itself")
        except OSError as error:
            return Ended(sight, None, gone=False, why=f"it cannot be held: {error.strerror}")
        who = Identity(record.boot_id(), sight.pid, sight.start_ticks, os.fstat(pidfd).st_ino)
        why = self._differs(sight) if sight.pidfd_inode in (None, who.pidfd_inode) else _GONE
        if why is None:
            return Held(sight, who, pidfd)
        os.close(pidfd)
        return Ended(sight, None, gone=why == _GONE, why=why)

    def _differs(self, sight: Sight) -> str | None:
        """None if all that was held against it is still so."""
        if sight.pid <= 1 or sight.pid == os.getpid():
            return "it must not be signalled"
        now = see(sight.pid, self._uid)
        if now is None or now.key != sight.key:
            return _GONE
        if uid_of(sight.pid) != self._uid:
            return "it runs as another user"
        if now.mark != sight.mark or now.keep or now.names != sight.names:
            return "it has become another program"
        return None


_GONE = "it has ended by itself"


async def _until_ended(held: Sequence[Held], seconds: float) -> None:
    with anyio.move_on_after(seconds):
        while not all(each.ended for each in held):  # noqa: ASYNC110 - many pidfds at once, and for seconds only
            await anyio.sleep(_LOOK_EVERY)


def _outcome(held: Held) -> Ended:
    gone = held.ended
    why = "" if gone else _why_alive(held)
    return Ended(held.sight, held.who, held.sent, gone, why)


def _why_alive(held: Held) -> str:
    if signal.SIGKILL not in held.sent:
        return "the kernel refused the signal"
    now = see(held.sight.pid, held.sight.uid or 0)
    if now is not None and now.state == "D":
        return "it is in uninterruptible sleep, and ends when that does"
    return "it lives on after SIGKILL"
