"""Limits of a leader, set from outside while it waits at its gate: before exec, and at no cost to those without any.

What a control group of ours can hold is of the run as a whole. The rest is of each of its processes: RLIMIT_DATA for
memory, since RLIMIT_AS counts address space that is reserved and never used (node, java and Go reserve a lot of it);
and as many CPUs as are needed, whole ones, for a share of them.
"""

from __future__ import annotations

import errno
import math
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import cgroup
    from jobkeepd.spawner.leader import Failed
else:
    import cgroup
    from leader import Failed


class Limits:
    """Of the run in a slot: `imposed` says whether it has any."""

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self.imposed = False

    def impose(self, wanted: dict[str, Any] | None, pid: int) -> None:
        """Raises Failed; a run that asked for a limit does not run without it."""
        if wanted is not None:
            self.imposed = True
            _impose(wanted, pid, self._slot)

    def oom_kills(self) -> int:
        """How many of its processes the kernel has ended for wanting more memory than the run may have."""
        return cgroup.oom_kills(self._slot) if self.imposed else 0

    def lift(self) -> None:
        """The run is over."""
        if self.imposed:
            cgroup.release(self._slot)
            self.imposed = False


def _impose(limits: dict[str, Any], pid: int, slot: str) -> None:
    import resource  # not worth its pages in every slot

    memory, cpu, nofile, nice = (limits.get(name) for name in ("memory", "cpu", "nofile", "nice"))
    held = cgroup.confine(slot, pid, memory, cpu) if memory is not None or cpu is not None else frozenset()
    try:
        if memory is not None and "memory" not in held:
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
        if cpu is not None and "cpu" not in held:
            os.sched_setaffinity(pid, _some_of(sorted(os.sched_getaffinity(0)), math.ceil(cpu), pid))
        if nofile is not None:
            _limit_files(resource, pid, nofile)
        if nice is not None:
            _set_niceness(pid, nice)
    except (OSError, ValueError) as error:
        raise Failed("limits", getattr(error, "errno", None), f"its limits cannot be set: {error}") from None


def _some_of(cpus: list[int], count: int, draw: int) -> list[int]:
    """`count` neighbours of them: not the first ones for everybody."""
    first = draw % len(cpus)
    return (cpus[first:] + cpus[:first])[:count]


def _limit_files(resource: Any, pid: int, count: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, count))
    except (PermissionError, ValueError):  # beyond our own, or beyond what the kernel has at all
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        why = f"{count} open files are refused: the daemon may have {hard} (LimitNOFILE= of its unit, ulimit -Hn)"
        raise Failed("limits", errno.EPERM, why) from None


def _set_niceness(pid: int, nice: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except PermissionError as error:
        least = os.getpriority(os.PRIO_PROCESS, 0)
        why = f"niceness {nice} is refused: without privileges it is {least} or more (LimitNICE= of the daemon's unit)"
        raise Failed("limits", error.errno, why) from None
