"""What the kernel says a process is doing: running, stopped by a signal, or frozen with its control group."""

from __future__ import annotations

import os
import select

from jobkeepd.core.liveness import ProcessState
from jobkeepd.core.model import Identity
from jobkeepd.spawner import record

_COMMAND_MAX = 4096  # bytes of a command line that are looked at
_CHUNK = 4096
_START_TICKS = 19  # of the fields behind the name in /proc/PID/stat, of which the first is the state
_FREEZERS = (  # by controller, of which version 2 names none: the file of a group, and what is in it while it is frozen
    ("", "/sys/fs/cgroup{}/cgroup.events", b"frozen 1"),
    ("", "/sys/fs/cgroup/unified{}/cgroup.events", b"frozen 1"),
    ("freezer", "/sys/fs/cgroup/freezer{}/freezer.state", b"FROZEN"),
)


def process_state(who: Identity) -> ProcessState | None:
    """None for one that has ended, or is not proven to be the one on record."""
    try:
        with open(f"/proc/{who.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if int(fields[_START_TICKS]) != who.start_ticks or record.boot_id() != who.boot_id or fields[0] in b"ZXx":
        return None
    if fields[0] in b"Tt":
        return "stopped"
    return "frozen" if _is_frozen(who.pid) else "running"


def identity_of(pid: int, pidfd: int) -> Identity:
    """Who the pidfd keeps to, if its proof is read after it was opened. Raises OSError once that has ended."""
    return Identity(record.boot_id(), pid, record.start_ticks(pid), os.fstat(pidfd).st_ino)


def has_ended(pidfd: int, within: float = 0.0) -> bool:
    """Whether its process is gone or a zombie, by then at the latest, in seconds."""
    poll = select.poll()  # select() knows descriptors below 1024 alone
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def command_of(pid: int) -> str:
    """Its arguments, as far as it has not overwritten them; empty if they cannot be read."""
    return _read(f"/proc/{pid}/cmdline")[:_COMMAND_MAX].rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def _is_frozen(pid: int) -> bool:
    """By either version of control groups."""
    groups = os.fsdecode(_read(f"/proc/{pid}/cgroup")).splitlines()
    return any(
        controller in controllers.split(",") and frozen in _read(place.format(path))
        for _, controllers, path in (group.split(":", 2) for group in groups)
        for controller, place, frozen in _FREEZERS
    )


def read(path: str) -> bytes:
    """A whole file of the kernel's, which costs less in this way than in the usual one. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(fd, _CHUNK)
        while len(found) % _CHUNK == 0 and (more := os.read(fd, 1 << 16)):
            found += more
        return found
    finally:
        os.close(fd)


def _read(path: str) -> bytes:
    """Empty where there is none."""
    try:
        return read(path)
    except OSError:
        return b""
