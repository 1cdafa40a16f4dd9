"""Names and atomic writing of what a slot leaves on disk. Standard library only: spawner, shim and runner share it.

A run leaves one file, RUNTIME/runs/RUN.run: lines of JSON, of which the first of each kind counts.

- leader   who the leader is; the file appears with this line in it, before the gate opens. No file: nothing ever ran
- exit     how it ended; or failed, instead: that it never started, and why
- drained  that ECHILD proved its tree gone; left out where the exit says so itself

Beside that of a worker lies a second file, RUN.begun, in which it names each run of its own before it begins it.

Nothing is synced to disk: it needs to outlive processes, not the host (another boot id ends every run anyway).
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

# 1 was before limits, which its slots would not set; 2 before slots that end with a run that lasts.
PROTOCOL = 3
RUN = "run"  # what the names of records end in
LEADER, EXIT, DRAINED = ("leader",), ("exit", "failed"), ("drained",)  # kinds of lines, by their "op"
SUN_PATH_MAX = 107
_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_FORKED_ONLY = 0x40  # among the flags of a process: what ps(1) calls "forked but didn't exec"
_FLOCK = "hhqqi4x"  # struct flock with 64-bit offsets, as Python's fcntl uses it


def is_name(text: object) -> bool:
    """Whether `text` can name a run or a slot: it becomes part of file names."""
    return isinstance(text, str) and 0 < len(text) <= 128 and text[0] != "." and _NAME_CHARS.issuperset(text)


def spawner_socket(runtime: str) -> str:
    return f"{runtime}/spawner.socket"


def elder_socket(runtime: str, pid: int | str) -> str:
    """Of a spawner that has made way for one of another version. No longer than a slot's."""
    return f"{runtime}/spawner.{pid}.socket"


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


def slot_draft(runtime: str, slot: str) -> str:
    return f"{runtime}/slots/{slot}.draft"


def throw_open(runtime: str, slot: str) -> list[int]:
    """Let a child that waits for a dead shim go on: now, or whenever it comes until the descriptors are closed.

    Always safe: past the gate, a child without a record of its leader cannot reach exec.
    """
    opened = []
    for path in (slot_here(runtime, slot), slot_gate(runtime, slot)):
        if os.path.lexists(path):
            opened.append(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    return opened


def remove_slot(runtime: str, slot: str) -> None:
    """Remove the files of a slot whose shim is dead, or about to end."""
    opened = throw_open(runtime, slot)
    for kind in ("socket", "gate", "here", "draft", "lock"):
        path = f"{runtime}/slots/{slot}.{kind}"
        if os.path.lexists(path):
            os.unlink(path)
    for fd in opened:
        os.close(fd)


def run_path(runtime: str, run: str) -> str:
    return f"{runtime}/runs/{run}.{RUN}"


def begun_path(runtime: str, run: str) -> str:
    return f"{runtime}/runs/{run}.begun"


def encode(message: dict[str, Any]) -> bytes:
    """One line. Escapes to ASCII, so that bytes which are not UTF-8 come through as lone surrogates."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def begin(runtime: str, slot: str, run: str, line: bytes) -> int:
    """Make the run's record with its first line in it, and return it open for more.

    Raises FileExistsError if there is one: link() lets a run begin once.
    """
    draft = slot_draft(runtime, slot)
    fd = os.open(draft, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_line(fd, line)
        os.link(draft, run_path(runtime, run))
    except OSError:
        os.close(fd)
        raise
    finally:
        os.unlink(draft)
    return fd


def write_line(fd: int, line: bytes) -> None:
    """In one piece: a killed writer leaves all of it or nothing. Only a full disk can tear it."""
    if os.write(fd, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def append(runtime: str, run: str, line: bytes) -> None:
    """Add to the record of a run whose slot is dead. What the slot has written itself stands before it."""
    fd = os.open(run_path(runtime, run), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        write_line(fd, b"\n" + line)  # the slot's last line may be torn
    finally:
        os.close(fd)


def read(runtime: str, run: str, kind: tuple[str, ...]) -> dict[str, Any] | None:
    """The first whole line of that kind, if there is one."""
    try:
        with open(run_path(runtime, run), "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    for line in lines[:-1]:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and message.get("op") in kind:
            return message
    return None


def begun(runtime: str, run: str) -> tuple[str, ...] | None:
    """The runs that this worker has begun, the last one last; None if that is not on record, or not whole."""
    try:
        with open(begun_path(runtime, run), encoding="ascii") as file:
            names = file.read().split("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return tuple(names[:-1]) if names[-1] == "" else None


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().decode().strip()


def start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat."""
    return int(_stat(pid)[19])


def came_to_exec(pid: int) -> bool:
    """Whether a process, or a dead one that is not reaped yet, was ever more than what it was forked as."""
    return not int(_stat(pid)[6]) & _FORKED_ONLY


def _stat(pid: int) -> list[bytes]:
    """From the third field on. The command's name may hold anything, so count from its last parenthesis."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        stat = os.read(fd, 4096)
    finally:
        os.close(fd)
    return stat[stat.rindex(b")") + 2 :].split(None, 20)


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
    fd = open_lock(path)
    try:
        lock(fd)
    except OSError as error:
        os.close(fd)
        raise BlockingIOError(error.errno, "locked by another process", path) from None
    return fd


def open_lock(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def lock(fd: int, byte: int = 0) -> None:
    """Also a file that was opened before a fork. To `lock_holder` who has any byte of it holds all of it."""
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)


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
