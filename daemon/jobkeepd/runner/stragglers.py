"""Ends what a run has left behind under nobody: its slot was killed, and the spawner that would have inherited, too.

No parent is left that could prove the tree gone. What remains is the cookie: random, of one run, and in the environment
of everything that the run has started, bar what has cleared it. A look at all processes may miss one that is being
forked, so it takes two looks in a row that find nobody.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Callable, Mapping

import anyio
import structlog

from jobkeepd.core.model import Identity
from jobkeepd.core.signalled import Signalled, run_of
from jobkeepd.latch import Latch
from jobkeepd.runner.groups import Groups
from jobkeepd.runner.process_state import command_of, identity_of

log = structlog.get_logger()
_PAUSE = 0.05
_KILL_FOR = 5.0  # seconds: who lives on then is beyond any signal, and told of
_NAME = b"JOBKEEP_COOKIE="


class Stragglers:
    """One look at all processes serves everybody who has asked for it: many runs may be lost at once."""

    def __init__(self, audit: Callable[[Signalled], None] = lambda said: None) -> None:
        self._audit = audit
        self._groups = Groups(audit)
        self._looking = anyio.Lock()
        self._upcoming: Latch[Mapping[str, list[int]] | None] | None = None

    async def end(self, cookie: str, grace: float, run: str | None = None, slot: str | None = None) -> None:
        """SIGTERM, and after `grace` seconds SIGKILL for whatever has the cookie of `run`, until nobody has. What is in
        the control group of its `slot` goes first: where there are groups, that is all of it.
        """
        if slot is not None:
            await self._groups.end(slot, grace, *run_of(run))
        since = anyio.current_time()
        warned: set[int] = set()
        killed: set[int] = set()
        clean = 0
        while clean < 2:
            found = (await self._look()).get(cookie, [])
            clean = 0 if found else clean + 1
            over = anyio.current_time() - since
            if found and over >= grace + _KILL_FOR:
                log.error("stragglers_live_on", pids=found)
                return
            for pid in found:
                if over >= grace:
                    who = _send(pid, cookie, signal.SIGKILL)
                    if pid not in killed:
                        self._put_on_record(who, run, signal.SIGKILL)
                    killed.add(pid)
                elif pid not in warned:
                    log.warning("straggler_ended", pid=pid)
                    self._put_on_record(_send(pid, cookie, signal.SIGTERM, signal.SIGCONT), run, signal.SIGTERM)
            warned.update(found)
            if found:
                await anyio.sleep(_PAUSE)

    def _put_on_record(self, who: Identity | None, run: str | None, *numbers: int) -> None:
        if who is not None:
            job, number = run_of(run)
            why = "its run is over, and neither slot nor spawner was there to end it"
            self._audit(Signalled(who, numbers, why, ("cookie",), command_of(who.pid), job=job, run=number))

    async def _look(self) -> Mapping[str, list[int]]:
        """Who has which cookie, by a look that has begun after the call."""
        found = None
        while found is None:
            if self._upcoming is None:
                found = await self._look_myself()
            else:
                found = await self._upcoming.wait()
        return found

    async def _look_myself(self) -> Mapping[str, list[int]]:
        latch: Latch[Mapping[str, list[int]] | None] = Latch()
        self._upcoming = latch
        found = None
        try:
            async with self._looking:
                self._upcoming = None
                found = await anyio.to_thread.run_sync(_holders)
        finally:
            if self._upcoming is latch:
                self._upcoming = None
            latch.set(found)
        return found


def _holders() -> dict[str, list[int]]:
    found = defaultdict(list)
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        cookie = _cookie_of(pid)
        if cookie is not None:
            found[cookie].append(pid)
    return found


def _cookie_of(pid: int) -> str | None:
    """What the process was started with. Of a zombie nothing can be read, and who wants to stay shows none."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return None
    if _NAME not in environment:
        return None
    pairs = environment.split(b"\0")
    if b"JOBKEEP_KEEP=1" in pairs:
        return None
    found = (pair.removeprefix(_NAME) for pair in pairs if pair.startswith(_NAME))
    return next((cookie.decode(errors="replace") for cookie in found), None)


def _send(pid: int, cookie: str, *numbers: int) -> Identity | None:
    """To that process and no other: first the pidfd, then the proof. Who it was, if it was there to get them."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        who = identity_of(pid, pidfd)
        if _cookie_of(pid) != cookie:
            return None
        for number in numbers:
            signal.pidfd_send_signal(pidfd, number)
        return who
    except OSError:
        return None
    finally:
        os.close(pidfd)
