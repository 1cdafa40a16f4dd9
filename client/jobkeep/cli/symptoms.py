"""Looks at the host for `jobkeep doctor`: each look is small, changes nothing, and says None where it cannot tell."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import pwd
import sqlite3
import stat
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jobkeep import __version__
from jobkeep.cli.daemons import ask, jobkeepd
from jobkeep.cli.diagnosis import Disk, Facts, Place
from jobkeep.cli.failures import NOT_PERMITTED, USAGE, Failure, of_client
from jobkeep.cli.room import room
from jobkeep.errors import JobkeepError
from jobkeep.paths import candidates, named_socket

if TYPE_CHECKING:
    from jobkeep.cli.context import Context

STA_UNSYNC = 0x40
_FLOCK = "hhqqi4x"
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


def look(context: Context) -> Facts:
    """All of it; without a daemon what there is without one."""
    status, silent = _status(context)
    config, failure = _config()
    said = {value["key"]: value["value"] for value in config["values"]} if config is not None else {}
    paths = {
        "state": (status or {}).get("state_dir") or said.get("daemon.state_dir"),
        "runtime": (status or {}).get("runtime_dir") or said.get("daemon.runtime_dir"),
        "socket": (status or {}).get("socket") or named_socket(context.options.socket) or said.get("daemon.socket")
        or candidates()[0],
    }  # fmt: skip
    if paths["state"]:
        paths["database"] = f"{paths['state']}/jobs.sqlite"
    pid = status["pid"] if status is not None else os.getpid()
    return Facts(
        client=__version__,
        python=platform.python_version(),
        uid=os.getuid(),
        status=status,
        silence=str(silent) if silent else None,
        refused=silent is not None and silent.code == NOT_PERMITTED,
        advice=silent.hint if silent else None,
        named=named_socket(context.options.socket) is not None,
        sqlite=sqlite3.sqlite_version,
        config=config,
        config_failure=failure,
        places={name: place_of(path) for name, path in paths.items() if path},
        lock_holder=lock_holder(f"{paths['state']}/lock") if paths["state"] and status is None else None,
        disks=disks(path for path in (paths["state"], paths["runtime"]) if path),
        files_limit=files_limit(pid),
        files_open=files_open(pid) if status is not None else None,
        delegated=delegated(pid) if status is not None else None,
        linger=linger(),
        synchronised=synchronised(),
        newest_ahead=_newest_ahead(context) if status is not None else None,
        hidden=hidden_processes(),
        commit=_commit(context) if status is not None else None,
        stale=stale_slots(paths["runtime"]) if paths["runtime"] else 0,
    )


def _status(context: Context) -> tuple[dict[str, Any] | None, Failure | None]:
    try:
        return ask(context, "Status"), None
    except JobkeepError as error:
        return None, of_client(error)
    except Failure as failure:
        return None, failure


def _config() -> tuple[dict[str, Any] | None, str | None]:
    try:
        return jobkeepd(["check-config"], "jobkeepd cannot run here", (USAGE,), quiet=True), None
    except Failure as failure:
        return None, str(failure)


def _newest_ahead(context: Context) -> float | None:
    with suppress(JobkeepError, Failure, IndexError, TypeError):
        newest = ask(context, "Sql", query="SELECT at FROM journal ORDER BY seq DESC LIMIT 1")["rows"][0][0]
        return float(newest) - time.time()
    return None


def _commit(context: Context) -> float | None:
    with suppress(JobkeepError, Failure, KeyError, TypeError):
        for family in ask(context, "Metrics")["families"]:
            if family["name"] == "jobkeep_commit_duration_seconds":
                said = {sample["suffix"]: sample["value"] for sample in family["samples"]}
                return said["_sum"] / said["_count"] if said.get("_count") else None
    return None


def place_of(path: str) -> Place:
    try:
        seen = os.lstat(path)
    except OSError:
        return Place(path)
    kinds = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFSOCK: "socket", stat.S_IFLNK: "link"}
    kind = kinds.get(stat.S_IFMT(seen.st_mode), "other")
    return Place(path, kind, stat.S_IMODE(seen.st_mode), seen.st_uid, read_only(path))


def read_only(path: str) -> bool:
    """Whether nobody, root included, may write there: its file system is mounted so."""
    with suppress(OSError):
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return False


def disks(paths: Any) -> list[Disk]:
    """Of each file system once; of a folder that is not there yet, where it will be."""
    found: dict[int, Disk] = {}
    for path in paths:
        folder = path
        while not os.path.exists(folder) and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
        with suppress(OSError):
            device = os.stat(folder).st_dev
            if (seen := room(folder)) is not None:
                found.setdefault(device, Disk(folder, *seen))
    return list(found.values())


def lock_holder(path: str) -> int | None:
    """Who holds a POSIX lock on it, as the kernel tells."""
    try:
        with open(path, "rb+") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK or pid <= 0 else int(pid)


def files_limit(pid: int) -> int | None:
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return next(int(line[26:].split()[0]) for line in file if line.startswith("Max open files"))
    return None


def files_open(pid: int) -> int | None:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return None


def delegated(pid: int) -> bool | None:
    """Whether the control group of version 2 that the process is in is its to divide; None: it is in none."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            own = next(line[3:].strip() for line in file if line.startswith("0::"))
        mount = next(mount for mount in _CGROUPS if os.path.exists(f"{mount}/cgroup.procs"))
        folder = f"{mount}{own}"
        for name in ("user.delegate", "trusted.delegate"):
            with suppress(OSError):
                if os.getxattr(folder, name) == b"1":
                    return True
        owner = os.stat(folder).st_uid
        return owner != 0 and owner == os.stat(f"/proc/{pid}").st_uid
    except (OSError, StopIteration):
        return None


def linger(folder: str = "/var/lib/systemd/linger") -> bool | None:
    if not os.path.isdir("/run/systemd/system"):
        return None
    with suppress(KeyError):
        return os.path.exists(f"{folder}/{pwd.getpwuid(os.getuid()).pw_name}")
    return None


def synchronised() -> bool | None:
    """The kernel's word: somebody disciplines the clock."""
    if sys.platform != "linux":
        return None
    timex = ctypes.create_string_buffer(512)  # struct timex of 64-bit Linux has 208 bytes; modes = 0 only reads
    with suppress(OSError, AttributeError):
        if ctypes.CDLL(None, use_errno=True).adjtimex(timex) >= 0:
            return not struct.unpack_from("i", timex, 40)[0] & STA_UNSYNC
    return None


def hidden_processes(mounts: str = "/proc/self/mounts") -> bool:
    with suppress(OSError), open(mounts, encoding="utf-8", errors="replace") as file:
        for line in file:
            _, where, kind, options, *_ = line.split(" ")
            if where == "/proc" and kind == "proc":
                hidden = [option for option in options.split(",") if option.startswith("hidepid=")]
                return bool(hidden) and hidden[-1] not in ("hidepid=0", "hidepid=off")
    return False


def stale_slots(runtime: str) -> int:
    """Slots whose process is gone."""
    with suppress(OSError):
        locks = [name for name in os.listdir(f"{runtime}/slots") if name.endswith(".lock")]
        return sum(lock_holder(f"{runtime}/slots/{name}") is None for name in locks)
    return 0
