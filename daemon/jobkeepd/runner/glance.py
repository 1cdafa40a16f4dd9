"""What /proc says of one process."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from msgspec.structs import replace

from jobkeepd.core.families import COMM_MAX
from jobkeepd.core.sight import OLD_ENOUGH, Mark, Sight
from jobkeepd.runner.process_state import command_of, read
from jobkeepd.spawner import record

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_STAT_MAX: Final = 2048  # bytes; 52 numbers and a name
_KERNEL_THREAD: Final = 0x00200000  # PF_KTHREAD
# Of the fields of `stat` behind the name: where code, stack and arguments lie, which each exec places anew.
_PLACES: Final = (23, 24, 25, 45, 46, 47, 48)
_VARIABLE: Final = re.compile(rb"\0JOBKEEP_(COOKIE|JOB|RUN|SEAT|KEEP)=([^\0]*)")


class Glance(NamedTuple):
    """Its line of `stat`, whose that file is, and what was made of both; None for what is no process to us."""

    line: bytes
    owner: int
    sight: Sight | None


def glance(pid: int | str) -> tuple[bytes, int]:
    """What costs least, and changes with every exec. Raises OSError where it has ended."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _STAT_MAX), os.fstat(fd).st_uid
    finally:
        os.close(fd)


def see(pid: int, uid: int, arguments: bool = True) -> Sight | None:
    """None if it has ended, is a zombie, or a thread of the kernel. What is read of a process of `uid` only: its
    environment, its file and, if they matter, its arguments."""
    try:
        return seen(*glance(pid), uid, arguments).sight
    except OSError:
        return None


def seen(line: bytes, owner: int, uid: int, arguments: bool) -> Glance:
    """With the files read that the line tells nothing of."""
    name, fields = _parsed(line)
    if _is_no_process(fields):
        return Glance(line, owner, None)
    pid = int(line[: line.index(b" ")])
    names: tuple[str, ...] = (os.fsdecode(name),)
    command, mark, keep, readable = "", None, False, True
    if owner == uid:
        try:
            mark, keep = _marks(read(f"/proc/{pid}/environ"))
            names = _names(names[0], os.readlink(f"/proc/{pid}/exe"))
            if arguments:
                command = command_of(pid)
        except OSError:
            readable = False
    ticks = int(fields[19])
    sight = Sight(
        pid, ticks, int(fields[1]), owner, fields[0].decode(), ticks / _TICKS, names, command, mark, keep, readable,
        "", _cpu(fields), int(fields[21]) * _PAGE,
    )  # fmt: skip
    return Glance(line, owner, sight)


def seen_again(line: bytes, owner: int, before: Glance) -> Glance | None:
    """The same process, and the same program in it; None if that is not certain."""
    (name, fields), (old_name, old) = _parsed(line), _parsed(before.line)
    sight = before.sight
    if sight is None or owner != before.owner or name != old_name or fields[19] != old[19] or _is_no_process(fields):
        return None
    if any(fields[place] != old[place] for place in _PLACES):
        return None
    now = replace(
        sight, parent=int(fields[1]), state=fields[0].decode(), cpu_s=_cpu(fields), rss_bytes=int(fields[21]) * _PAGE
    )
    return Glance(line, owner, now)


def is_settled(before: Glance, then: float) -> bool:
    """Whether a process was old enough to be told by its start when it was seen, in seconds since the boot."""
    return before.sight is None or then - before.sight.born >= OLD_ENOUGH


def closer(sight: Sight, uid: int) -> Sight:
    """All anew, and more of it; as it was, where it has ended meanwhile."""
    pid = sight.pid
    try:
        inode = record.pidfd_inode(pid)
    except OSError:
        return sight
    now = see(pid, uid)
    if now is None or now.key != sight.key:
        return sight
    return replace(now, cgroup=cgroup_of(pid), uid=uid_of(pid), pidfd_inode=inode)


def _parsed(line: bytes) -> tuple[bytes, list[bytes]]:
    """Its name, which may hold anything, and the fields behind it."""
    end = line.rindex(b")")
    return line[line.index(b"(") + 1 : end], line[end + 2 :].split()


def _is_no_process(fields: list[bytes]) -> bool:
    return fields[0] in b"ZXx" or int(fields[6]) & _KERNEL_THREAD != 0


def _cpu(fields: list[bytes]) -> float:
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _names(comm: str, executable: str) -> tuple[str, ...]:
    """Of its file, and the one it goes by: a script's, say."""
    file = executable.removesuffix(" (deleted)").rpartition("/")[2]
    return (file,) if file == comm or (len(comm) == COMM_MAX and file.startswith(comm)) else (file, comm)


def _marks(environment: bytes) -> tuple[Mark | None, bool]:
    """What of it is ours to read. Where a name comes twice the first counts, as for the process itself."""
    if b"JOBKEEP_" not in environment:
        return None, False
    ours: dict[bytes, str] = {}
    for name, value in _VARIABLE.findall(b"\0" + environment):
        ours.setdefault(name, value.decode(errors="replace"))
    keep, cookie, number = ours.get(b"KEEP") == "1", ours.get(b"COOKIE"), ours.get(b"RUN", "")
    if not cookie:
        return None, keep
    run = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    return Mark(cookie, ours.get(b"JOB"), run, ours.get(b"SEAT")), keep


def cgroup_of(pid: int) -> str:
    """Its control group of version 2, and of systemd's own hierarchy where there is no such; empty if unknown."""
    try:
        lines = os.fsdecode(read(f"/proc/{pid}/cgroup")).splitlines()
    except OSError:
        return ""
    groups = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    unified = groups.get("", "")
    return unified if unified.strip("/") else groups.get("name=systemd", unified)


def uid_of(pid: int) -> int | None:
    """Its user, if real, effective, saved and that of the file system are one."""
    try:
        status = read(f"/proc/{pid}/status")
    except OSError:
        return None
    users = {int(uid) for uid in status.partition(b"\nUid:")[2].partition(b"\n")[0].split()}
    return users.pop() if len(users) == 1 else None
