"""Ending what is left under a subreaper, with the kernel's word that nothing is.

Only direct children get signals here: they are unreaped, so their pids cannot have been reused. That is enough:
whatever loses its parent becomes a direct child, so each pass takes off one more layer, and a pass is cheap. Nothing
is ever concluded from a list of processes; the end is ECHILD alone.
"""

from __future__ import annotations

import ctypes
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def become_subreaper() -> None:
    """Orphans below this process become its children. A fork does not inherit this."""
    _set(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """SIGKILL for this process when its parent dies, or has died meanwhile."""
    _set(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _set(option: int, value: int) -> None:
    if _prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl")


def children() -> list[int]:
    """Direct children, zombies included. May miss some while others end: callers look again until ECHILD."""
    return [pid for thread in os.listdir("/proc/self/task") for pid in children_of(int(thread))]


def list_of(thread: int) -> str:
    """The file that lists them; a kernel without CONFIG_PROC_CHILDREN has none."""
    return f"/proc/self/task/{thread}/children"


def children_of(thread: int) -> list[int]:
    """The children that a thread of this process has made; the main one has the adopted, too."""
    try:
        fd = os.open(list_of(thread), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _children_by_scan()
    try:
        pids = os.read(fd, 4096)
        if len(pids) > 3072:  # a page holds no more, to the last whole number
            pids += b"".join(iter(lambda: os.read(fd, 65536), b""))
        return [int(pid) for pid in pids.split()]
    finally:
        os.close(fd)


def _children_by_scan() -> list[int]:
    me = os.getpid()
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == me]


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def has_ended(pid: int) -> bool:
    """Whether a child's main thread has; others of it may not yet, and then it cannot be reaped."""
    return _stat(pid)[:1] in ([], [b"Z"], [b"X"])


def state_of(pid: int) -> str:
    """As in ps(1): D is uninterruptible sleep, which no signal ends."""
    return (_stat(pid)[:1] or [b"X"])[0].decode()


def name_of(pid: int) -> str:
    """What the kernel calls it."""
    with open(f"/proc/{pid}/comm", "rb") as file:
        return file.read().decode(errors="replace").strip()


def keeps(pid: int) -> bool:
    """Whether a child wants to stay when its run is over, and says so in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"\0JOBKEEP_KEEP=1\0" in b"\0" + file.read() + b"\0"
    except OSError:  # it has ended, or shows nothing
        return False


def _stat(pid: int) -> list[bytes]:
    """State, parent and the rest of what the kernel says of a process; nothing if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return stat[stat.rindex(b")") + 2 :].split(None, 2)


def terminate(pids: Iterable[int]) -> None:
    """TERM, and CONT so that a stopped process can act on it."""
    for pid in pids:
        _send(pid, signal.SIGTERM)
        _send(pid, signal.SIGCONT)


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: int) -> None:
    try:  # noqa: SIM105  contextlib is not worth its pages in every slot
        os.kill(pid, number)
    except PermissionError:
        pass  # a setuid program: it ends when it likes, and until then ECHILD does not come


def signal_group(leader: int, number: int) -> None:
    """Signal the group of an unreaped leader, which called setsid before its gate opened."""
    try:  # noqa: SIM105
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass  # only zombies, or only setuid programs, are left in it
