"""A look at all processes through /proc, in a thread of its own: a file there may block for long."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

import anyio
from msgspec import Struct

from jobkeepd.core.sight import Sight
from jobkeepd.runner.base import HostLook
from jobkeepd.runner.glance import Glance, cgroup_of, closer, glance, is_settled, seen, seen_again
from jobkeepd.runner.process_state import read
from jobkeepd.spawner import cgroup, record

Thing = TypeVar("Thing")
_AT_ONCE: Final = 16  # processes, before the event loop has its turn
_REST: Final = 0.0001  # seconds; long enough to hand the interpreter over, which a system call alone does not
_IN_TURNS: Final = 16  # looks in which everybody is read anew: who writes over its own arguments shows it nowhere


class Memory(Struct, frozen=True):
    """What a look has seen, for the next one: an unchanged line of `stat` means that no program has been started in
    that process, since that takes faults of pages, which are counted there."""

    glances: Mapping[str, Glance] = {}
    at: float = 0.0  # seconds since the boot
    arguments: bool = False
    turn: int = 0


class Sightings:
    """Of one runtime directory. Implements base.Lookout: one look at a time, however many ask."""

    def __init__(self, runtime: str, uid: int) -> None:
        self._runtime = runtime
        self._uid = uid
        self._looking = anyio.Lock()
        self._memory = Memory()

    async def look(self, arguments: bool, afresh: bool = False) -> HostLook:
        async with self._looking:
            before = Memory() if afresh else self._memory
            seen, self._memory = await anyio.to_thread.run_sync(
                look, self._runtime, self._uid, arguments, before, abandon_on_cancel=True
            )
            return seen

    async def closer(self, sights: Sequence[Sight]) -> list[Sight]:
        return await anyio.to_thread.run_sync(
            lambda: [closer(sight, self._uid) for sight in _unhurried(sights)], abandon_on_cancel=True
        )


def look(runtime: str, uid: int, arguments: bool, before: Memory) -> tuple[HostLook, Memory]:
    """Environments are read of the processes of `uid` alone. Who holds the locks is asked last: whoever is a slot by
    then, and was seen, was seen as a process only; the other way round a new slot would be one without a lock."""
    now, turn = uptime(), (before.turn + 1) % _IN_TURNS
    known = before.glances if before.arguments == arguments else {}
    glances, sights = {}, {}
    for name in _unhurried([name for name in os.listdir("/proc") if name.isdigit()]):
        try:
            line, owner = glance(name)
        except OSError:
            continue
        last = known.get(name)
        if last is not None and (not is_settled(last, before.at) or int(name) % _IN_TURNS == turn):
            last = None
        if last is None or last.line != line or last.owner != owner:
            again = None if last is None else seen_again(line, owner, last)
            last = seen(line, owner, uid, arguments) if again is None else again
        glances[name] = last
        if last.sight is not None:
            sights[last.sight.pid] = last.sight
    slots, spawners = _slots(runtime), _spawners(runtime)
    spawners |= _zygotes(sights, spawners)
    members = {pid: slot for slot in cgroup.slots() for pid in cgroup.members(slot)}
    ours = cgroup_of(os.getpid())
    seen_now = HostLook(uptime(), record.boot_id(), os.getpid(), ours, sights, slots, spawners, members)
    return seen_now, Memory(glances, now, arguments, turn)


def _unhurried(things: Sequence[Thing]) -> Iterator[Thing]:
    """One after the other, in a thread that leaves others their time."""
    for count, thing in enumerate(things, 1):
        yield thing
        if count % _AT_ONCE == 0:
            time.sleep(_REST)


def _slots(runtime: str) -> dict[int, str]:
    names = (name.removesuffix(".lock") for name in os.listdir(f"{runtime}/slots") if name.endswith(".lock"))
    holders = ((record.lock_holder(record.slot_lock(runtime, name)), name) for name in names)
    slots = {pid: name for pid, name in holders if pid is not None}
    wardens = ((_session_of(pid), name) for pid, name in slots.items())
    return slots | {pid: name for pid, name in wardens if pid is not None}


def _session_of(pid: int) -> int | None:
    """Of a shim: its warden. It is its own if the run has been handed over."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _spawners(runtime: str) -> frozenset[int]:
    """Ours, and those that have made way for it and stay for their slots."""
    elders = glob.glob(record.elder_socket(glob.escape(runtime), "*"))
    pids = {int(pid) for pid in (path.split(".")[-2] for path in elders) if pid.isdigit()}
    ours = record.lock_holder(record.spawner_lock(runtime))
    return frozenset(pids if ours is None else pids | {ours})


def _zygotes(sights: Mapping[int, Sight], spawners: frozenset[int]) -> frozenset[int]:
    """What spawners have forked into their own sessions. Slots have one each, and nobody comes back from there."""
    near = (pid for pid, sight in sights.items() if sight.parent in spawners)
    return frozenset(pid for pid in near if _session_of(pid) in spawners)


def uptime() -> float:
    """Seconds since the boot, suspend included: what the start of a process is counted in."""
    return float(read("/proc/uptime").split()[0])
