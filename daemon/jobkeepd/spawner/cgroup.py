"""Control groups of slots, where the one that we are in is ours to divide: version 2, delegated.

A slot and all that it starts are in a group of their own. Nothing leaves it: neither a session of its own nor an empty
environment helps. It is needed only where slot and spawner are both gone, since a subreaper proves the same for less.

A run with limits gets a group of its own in there. Controllers are switched on for that, so no process may be in the
groups above it: the slot is in a group beside the run's from the beginning, and the daemon has to be in one, too
(systemd's DelegateSubgroup). Where it is not nothing is switched on: systemd could not start the daemon again beside
jobs.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_PREFIX = "jobkeep-"
_DAEMONS = "daemon"  # DelegateSubgroup= of our units
_SHIM, _RUN = "shim", "run"  # in the group of a slot: itself with what has no limits, and a run that has some
_PERIOD = 100_000  # microseconds over which a share of the CPUs is counted


def delegated() -> str | None:
    """The folder of our own group, if systemd has handed it over (Delegate=yes), or it belongs to our user."""
    try:
        mount = next(mount for mount in _MOUNTS if os.path.exists(f"{mount}/cgroup.procs"))
        own = f"{mount}{_own()}".rstrip("/")
        above, last = os.path.split(own)
        if last == _SHIM and os.path.basename(above).startswith(_PREFIX):
            own = above
        while os.path.basename(own).startswith(_PREFIX):
            own = os.path.dirname(own)
        above, last = os.path.split(own)
        if last == _DAEMONS and _is_handed_over(above):
            own = above
        return own if _is_handed_over(own) else None
    except (OSError, StopIteration):
        return None


def _own() -> str:
    with open("/proc/self/cgroup", "rb") as file:
        return next(line[3:] for line in os.fsdecode(file.read()).splitlines() if line.startswith("0::"))


def _is_handed_over(folder: str) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(folder, name) == b"1":
                return os.access(folder, os.W_OK)
        except OSError:
            continue
    uid = os.getuid()
    return uid != 0 and os.stat(folder).st_uid == uid and os.access(folder, os.W_OK)


def group_of(slot: str) -> str | None:
    """Its folder, whether there is one or not; None where no groups can be made."""
    base = delegated()
    return None if base is None else f"{base}/{_PREFIX}{slot}"


def make(slot: str) -> int | None:
    """A file to which a process writes 0 to enter the slot's group, with all that it starts from then on.

    None: a host that has no groups, or refuses, does without.
    """
    group = group_of(slot)
    if group is None:
        return None
    try:
        # All of it is there if somebody has killed the slot while it was being made.
        os.makedirs(f"{group}/{_SHIM}", 0o755, exist_ok=True)
        return os.open(f"{group}/{_SHIM}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        leave(slot)
        return None


def leave(slot: str) -> bool:
    """Remove the group of a slot of which nothing is left; False if somebody stays in it."""
    group = group_of(slot)
    return group is None or _remove(group)


def _remove(group: str) -> bool:
    """With the groups in it, if there are any; False if somebody is there."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True


def confine(slot: str, pid: int, memory: int | None, cpu: float | None) -> frozenset[str]:
    """Put a leader that has not begun yet into a group with these limits: bytes, and CPUs. Returns which of them hold:
    none where the host does not let us, or only one.
    """
    wanted = [name for name, limit in (("memory", memory), ("cpu", cpu)) if limit is not None]
    base, group = delegated(), group_of(slot)
    if base is None or group is None or not os.path.isdir(f"{base}/{_DAEMONS}"):
        return frozenset()
    held = set()
    try:
        _remove(f"{group}/{_RUN}")  # of the run before
        for name in wanted:
            if _switch_on(base, name) and _switch_on(group, name):
                held.add(name)
        run = f"{group}/{_RUN}"
        os.mkdir(run, 0o755)  # once controllers are on: its files are made by that
        if "memory" in held:
            _limit_memory(run, int(memory or 0))
        if "cpu" in held:
            _write(f"{run}/cpu.max", b"%d %d" % (int((cpu or 0) * _PERIOD), _PERIOD))
        _write(f"{run}/cgroup.procs", b"%d" % pid)
    except OSError:
        return frozenset()
    return frozenset(held)


def _limit_memory(run: str, limit: int) -> None:
    _write(f"{run}/memory.max", b"%d" % limit)
    _write(f"{run}/memory.oom.group", b"1")  # a run that has lost one process at random is of no use to anybody
    if os.path.exists(f"{run}/memory.swap.max"):  # some kernels do not count it
        _write(f"{run}/memory.swap.max", b"0")  # else it would swap instead of being ended, and slow the host down


def _switch_on(group: str, controller: str) -> bool:
    try:
        _write(f"{group}/cgroup.subtree_control", b"+%s" % controller.encode())
    except OSError:  # it is not ours to give, or somebody is in the group
        return False
    return True


def oom_kills(slot: str) -> int:
    """How many processes of the run with limits the kernel has ended because they wanted more memory than theirs."""
    try:
        with open(f"{group_of(slot)}/{_RUN}/memory.events", "rb") as file:
            counts = dict(line.split() for line in file)
        return int(counts[b"oom_kill"])
    except (OSError, KeyError, ValueError):
        return 0


def release(slot: str) -> None:
    """The run with limits is over."""
    _remove(f"{group_of(slot)}/{_RUN}")


def members(slot: str) -> list[int]:
    """The processes in it and in groups that they have made themselves."""
    group = group_of(slot)
    return sorted({pid for folder in _folders(group) for pid in _pids(folder)}) if group is not None else []


def slots() -> list[str]:
    """Those that have a group, whether they live or not."""
    base = delegated()
    names = os.listdir(base) if base is not None else []
    return [name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX)]


def is_in(pid: int, slot: str) -> bool:
    return pid in members(slot)


def kill(slot: str) -> bool:
    """SIGKILL for all in it, those as well that are being forked; False where the kernel (before 5.14) cannot."""
    group = group_of(slot)
    try:
        _write(f"{group}/cgroup.kill", b"1")
    except OSError:
        return False
    return True


def _folders(group: str) -> Iterator[str]:
    return (folder for folder, _, _ in os.walk(group))


def _pids(folder: str) -> list[int]:
    try:
        with open(f"{folder}/cgroup.procs", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _write(path: str, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
