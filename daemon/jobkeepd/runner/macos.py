"""Whose processes are on macOS, by psutil: no pidfd, no /proc, no control groups. What is not proven is left alone.

Implements base.Lookout and base.Reaper. Here the cookie alone is proof: environments of protected programs are not
shown, which makes them unverifiable, and a name or a lost parent never ends anybody. Between the last look at a process
and its signal there are microseconds in which it could end and its pid pass on; Linux has no such gap.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import anyio
from msgspec import Struct

from jobkeepd.clock import Clock
from jobkeepd.core.model import Identity
from jobkeepd.core.sight import Mark, Sight
from jobkeepd.runner.base import Ended, HostLook

_LOOK_EVERY = 0.05
_DIES_WITHIN = 5.0
_TERM, _KILL = 15, 9


class Facts(Struct, frozen=True):
    """What psutil says of one process. `environment` None: it is not shown."""

    pid: int
    parent: int
    created: float  # seconds since 1970
    uids: tuple[int, ...]
    names: tuple[str, ...]
    command: str
    environment: Mapping[str, str] | None
    state: str = "S"
    cpu_s: float = 0.0
    rss_bytes: int = 0


class Table(Protocol):
    """The processes of the host. Fakes stand for it in tests."""

    def all(self) -> list[Facts]: ...

    def one(self, pid: int) -> Facts | None: ...

    def booted(self) -> float:
        """Seconds since 1970."""

    def send(self, pid: int, created: float, number: int) -> bool:
        """False, and no signal, unless the process with this pid is the one that was created then."""


class PsutilTable:
    """Implements Table."""

    def __init__(self) -> None:
        self._psutil: Any = importlib.import_module("psutil")

    def all(self) -> list[Facts]:
        return [facts for pid in self._psutil.pids() if (facts := self.one(pid)) is not None]

    def booted(self) -> float:
        return float(self._psutil.boot_time())

    def one(self, pid: int) -> Facts | None:
        try:
            process = self._psutil.Process(pid)
            with process.oneshot():
                created, parent, name = process.create_time(), process.ppid(), process.name()
                uids, state = tuple(process.uids()), process.status()
        except self._psutil.Error:
            return None
        if state == self._psutil.STATUS_ZOMBIE:
            return None
        return Facts(pid, parent, created, uids, (name,), *self._private(process), state=state[:1].upper())

    def _private(self, process: Any) -> tuple[str, dict[str, str] | None]:
        """What may be refused; macOS shows an empty environment of programs that it protects."""
        try:
            return " ".join(process.cmdline()), process.environ() or None
        except (self._psutil.Error, OSError):
            return "", None

    def send(self, pid: int, created: float, number: int) -> bool:
        try:
            process = self._psutil.Process(pid)
            if process.create_time() != created:
                return False
            process.send_signal(number)  # which compares once more
        except self._psutil.Error:
            return False
        return True


class MacSightings:
    """Implements Lookout. Slots are not known here: what has no cookie is not ours."""

    def __init__(self, table: Table, uid: int, boot: str, clock: Clock) -> None:
        self._table = table
        self._uid = uid
        self._boot = boot
        self._clock = clock

    async def look(self, arguments: bool, afresh: bool = False) -> HostLook:
        facts = await anyio.to_thread.run_sync(self._table.all)
        booted = self._table.booted()
        sights = {each.pid: sight_of(each, booted, self._uid) for each in facts}
        return HostLook(self._clock.now() - booted, self._boot, os.getpid(), "", sights, {}, frozenset())

    async def closer(self, sights: Sequence[Sight]) -> list[Sight]:
        return list(sights)


class MacReaper:
    """Implements Reaper, for processes of `uid` that have a cookie."""

    def __init__(self, table: Table, uid: int, boot: str) -> None:
        self._table = table
        self._uid = uid
        self._boot = boot

    async def end(self, sights: Sequence[Sight], grace: float) -> list[Ended]:
        sent = {sight.pid: self._send(sight, _TERM) for sight in sights}
        await self._until_gone([sight for sight in sights if sent[sight.pid] is None], grace)
        numbers: dict[int, tuple[int, ...]] = {sight.pid: (_TERM,) for sight in sights if sent[sight.pid] is None}
        for sight in sights:
            if sight.pid in numbers and self._send(sight, _KILL) is None:
                numbers[sight.pid] += (_KILL,)
        await self._until_gone([sight for sight in sights if sight.pid in numbers], _DIES_WITHIN)
        return [self._outcome(sight, sent[sight.pid], numbers.get(sight.pid, ())) for sight in sights]

    def _send(self, sight: Sight, number: int) -> str | None:
        """Why not, if it was not sent."""
        facts = self._table.one(sight.pid)
        if facts is None or ticks_of(facts) != sight.start_ticks:
            return "it has ended by itself"
        if sight.pid <= 1 or sight.pid == os.getpid() or set(facts.uids) != {self._uid}:
            return "it must not be signalled"
        mark, keep = mark_of(facts.environment)
        if mark is None or mark != sight.mark or keep:
            return "only a cookie proves a process to be ours on this system, and it shows none"
        return None if self._table.send(facts.pid, facts.created, number) else "it has ended by itself"

    async def _until_gone(self, sights: Sequence[Sight], seconds: float) -> None:
        with anyio.move_on_after(seconds):
            while any(self._lives(sight) for sight in sights):  # noqa: ASYNC110 - there is nothing to wait on
                await anyio.sleep(_LOOK_EVERY)

    def _lives(self, sight: Sight) -> bool:
        facts = self._table.one(sight.pid)
        return facts is not None and ticks_of(facts) == sight.start_ticks

    def _outcome(self, sight: Sight, why_not: str | None, sent: tuple[int, ...]) -> Ended:
        gone = not self._lives(sight)
        who = Identity(self._boot, sight.pid, sight.start_ticks) if sent else None
        return Ended(sight, who, sent, gone, why_not or ("" if gone else "it lives on after SIGKILL"))


def ticks_of(facts: Facts) -> int:
    """The start of a process as a number: microseconds, which is what the kernel of macOS keeps."""
    return round(facts.created * 1_000_000)


def sight_of(facts: Facts, booted: float, uid: int) -> Sight:
    mine = set(facts.uids) == {uid}
    mark, keep = mark_of(facts.environment) if mine else (None, False)
    return Sight(
        facts.pid, ticks_of(facts), facts.parent, facts.uids[0] if len(set(facts.uids)) == 1 else None, facts.state,
        facts.created - booted, facts.names, facts.command, mark, keep, facts.environment is not None or not mine,
        cpu_s=facts.cpu_s, rss_bytes=facts.rss_bytes,
    )  # fmt: skip


def mark_of(environment: Mapping[str, str] | None) -> tuple[Mark | None, bool]:
    ours = environment or {}
    cookie, number = ours.get("JOBKEEP_COOKIE"), ours.get("JOBKEEP_RUN", "")
    keep = ours.get("JOBKEEP_KEEP") == "1"
    if not cookie:
        return None, keep
    run = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    return Mark(cookie, ours.get("JOBKEEP_JOB"), run, ours.get("JOBKEEP_SEAT")), keep
