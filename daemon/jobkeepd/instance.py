"""One daemon per directory, and the private files beside the database."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import struct
from pathlib import Path

import structlog

from jobkeepd.errors import AlreadyRunning, DaemonError

log = structlog.get_logger()

_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid on 64-bit Linux
_SECRET_BYTES = 32
_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class UnusableDirectory(DaemonError):
    """A directory of ours is missing, not writable, or not safely ours."""


def private_directory(path: Path) -> None:
    """Make `path` (0700) or verify it: a real directory, ours, writable by nobody else. Raises UnusableDirectory."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableDirectory(f"{path}: {error.strerror}") from error
    try:
        seen = os.fstat(handle)
    finally:
        os.close(handle)
    if seen.st_uid != os.geteuid():
        raise UnusableDirectory(f"{path}: belongs to uid {seen.st_uid}, not to us")
    if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnusableDirectory(f"{path}: others may write to it; chmod go-w {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UnusableDirectory(f"{path}: not writable")


class InstanceLock:
    """A POSIX lock, which dies with its process and is inherited by none. The file is opened once, never closed.

    The state directory needs one, and the runtime directory as well: slots that a daemon finds there and does not
    know from its state it ends.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UnusableDirectory(f"{path}: {error.strerror}") from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise UnusableDirectory(f"{path}: {error.strerror}") from error
            raise AlreadyRunning(str(directory), self._holder()) from None

    def _holder(self) -> int | None:
        query = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(self._file, fcntl.F_GETLK, query))
        return pid if kind != fcntl.F_UNLCK and pid > 0 else None


def secret(state_dir: Path) -> bytes:
    """Random bytes that only this state directory's daemons know."""
    path = state_dir / "secret"
    with contextlib.suppress(FileNotFoundError):
        known = path.read_bytes()
        if len(known) >= _SECRET_BYTES:  # anything shorter could be guessed
            return known
    drawn = secrets.token_bytes(_SECRET_BYTES)
    _replace(path, drawn)
    return drawn


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def last_boot_id(state_dir: Path) -> str | None:
    """The boot in which the last daemon ran here; None when that is not known, which is no proof of another boot."""
    try:
        seen = (state_dir / "boot_id").read_bytes().strip().decode("ascii", errors="replace")
    except OSError:
        return None
    return seen if _BOOT_ID.fullmatch(seen) else None


def remember_boot(state_dir: Path, boot: str) -> None:
    """Where it cannot be written, as on a full disk, no boot is known any more: an old one would end every run."""
    path = state_dir / "boot_id"
    if last_boot_id(state_dir) == boot:
        return
    try:
        _replace(path, f"{boot}\n".encode())
    except OSError as error:
        log.warning("boot_not_remembered", error=error.strerror)
        path.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    """The file has its old content or the new one, whatever happens meanwhile."""
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def resident_bytes() -> int:
    """This process's resident set."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
