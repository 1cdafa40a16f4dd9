"""Names and atomic writing of what a slot leaves on disk. Standard library only: spawner, shim and runner share it.

A run leaves up to three records in RUNTIME/runs, each one line of JSON ended by a newline:

- RUN.leader   who the leader is; there before the gate opens, so no record means that nothing ever ran
- RUN.exit     how it ended, or that it never started ("failed"); the first writer wins
- RUN.drained  that ECHILD proved its tree gone; left out where the exit record says so itself

They are not synced to disk: they need to outlive processes, not the host (another boot id ends every run anyway).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import struct

TYPE_CHECKING = False  # typing is not worth its pages in every slot
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = 1
LEADER, EXIT, DRAINED = "leader", "exit", "drained"
SUN_PATH_MAX = 107
_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_FLOCK = "hhqqi4x"  # struct flock with 64-bit offsets, as Python's fcntl uses it


def is_name(text: object) -> bool:
    """Whether `text` can name a run or a slot: it becomes part of file names."""
    return isinstance(text, str) and 0 < len(text) <= 128 and text[0] != "." and _NAME_CHARS.issuperset(text)


def spawner_socket(runtime: str) -> str:
    return f"{runtime}/spawner.socket"


def spawner_lock(runtime: str) -> str:
    return f"{runtime}/spawner.lock"


def slot_socket(runtime: str, slot: str) -> str:
    return f"{runtime}/slots/{slot}.socket"


def slot_lock(runtime: str, slot: str) -> str:
    return f"{runtime}/slots/{slot}.lock"


def slot_gate(runtime: str, slot: str) -> str:
    return f"{runtime}/slots/{slot}.gate"


def slot_here(runtime: str, slot: str) -> str:
    return f"{runtime}/slots/{slot}.here"


def open_gate(path: str) -> bool:
    """Let a child that waits in front of the gate go on; False if there is none (yet).

    Always safe: past the gate, a child without a leader record cannot reach exec.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    return True


def remove_slot(runtime: str, slot: str) -> None:
    """Remove the files of a slot whose shim is dead."""
    open_gate(slot_gate(runtime, slot))
    for kind in ("socket", "gate", "here", "lock"):
        path = f"{runtime}/slots/{slot}.{kind}"
        if os.path.lexists(path):
            os.unlink(path)


def run_path(runtime: str, run: str, kind: str) -> str:
    return f"{runtime}/runs/{run}.{kind}"


def encode(message: dict[str, Any]) -> bytes:
    """One line. Escapes to ASCII, so that bytes which are not UTF-8 come through as lone surrogates."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def write_first(runtime: str, run: str, kind: str, line: bytes) -> bool:
    """Write a record whole, unless there is one: link() lets exactly one writer win."""
    path = run_path(runtime, run, kind)
    draft = f"{path}.{os.getpid()}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def read(runtime: str, run: str, kind: str) -> dict[str, Any] | None:
    """The record, or None if there is none or it was torn by the death of its writer."""
    try:
        with open(run_path(runtime, run, kind), "rb") as file:
            line = file.read()
        return dict(json.loads(line)) if line.endswith(b"\n") else None
    except (FileNotFoundError, ValueError):
        return None


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().decode().strip()


def start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat. The command's name may hold anything, so count from its last parenthesis."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        stat = os.read(fd, 4096)
    finally:
        os.close(fd)
    return int(stat[stat.rindex(b")") + 2 :].split(None, 20)[19])


def pidfd_inode(pid: int) -> int:
    """The inode of a pidfd: unique per process and boot from Linux 6.9, one constant before."""
    fd = os.pidfd_open(pid)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def take_lock(path: str) -> int:
    """Lock `path` for the life of this process; raises BlockingIOError if another one lives.

    POSIX locks are dropped when ANY descriptor of the file is closed: the caller keeps the returned one open and
    opens the file nowhere else.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise BlockingIOError(error.errno, "locked by another process", path) from None
    return fd


def lock_holder(path: str) -> int | None:
    """The pid of the live process that holds `path`, as the kernel tells; None if there is none."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else int(pid)


def is_drained(runtime: str, run: str) -> bool:
    """Whether it is on record that nothing of the run is left (or ever was, if it failed to start)."""
    end = read(runtime, run, EXIT)
    if end is not None and ("failed" in end or end.get("drained")):
        return True
    return read(runtime, run, DRAINED) is not None
