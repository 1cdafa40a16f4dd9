"""One daemon per directory, and the private files beside the database."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import resource
import secrets
import stat
import struct
from pathlib import Path

import structlog

from jobkeepd.errors import AlreadyRunning, DaemonError

log = structlog.get_logger()

_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid on 64-bit Linux
_SECRET_BYTES = 32
_OWN_FILES, _FEWEST = 64, 16
_ROOT = 0
_UNMAPPED = 65534  # in a user namespace root may be none of its users, and / is whose it is
_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class UnusableDirectory(DaemonError):
    """A directory of ours is missing, not writable, or not safely ours."""


def private_directory(path: Path) -> None:
    """Make `path` (0700) or verify it: a real directory, ours, writable by nobody else. Raises UnusableDirectory."""
    os.close(open_private(path, parents=True))
    if not os.access(path, os.W_OK | os.X_OK):
        raise UnusableDirectory(f"{path} is not writable")


def open_private(path: Path, forbidden: int = stat.S_IWGRP | stat.S_IWOTH, *, parents: bool = False) -> int:
    """The descriptor of a directory that is made (0700), or is ours and has no `forbidden` bits in its mode.

    Nobody else can put another in its place. What was made is still there after a power cut. Raises UnusableDirectory.
    """
    try:
        made = [each for each in (path, *path.parents) if not os.path.lexists(each)]
        for each in reversed(made if parents else made[:1]):
            each.mkdir(mode=0o700, exist_ok=True)  # those above, too: the umask may let everybody write
        for each in made:
            with contextlib.suppress(PermissionError):  # we may make things in it, but not read it
                sync_directory(each.parent)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        link = error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST)
        what = "is a symbolic link or no directory" if link else f"cannot be made or opened: {error.strerror}"
        raise UnusableDirectory(f"{path} {what}") from error
    seen = os.fstat(handle)
    problem = None
    if seen.st_uid != os.geteuid():
        problem = f"{path} belongs to uid {seen.st_uid}, not to uid {os.geteuid()}"
    elif seen.st_mode & forbidden:
        problem = f"{path} has mode {stat.S_IMODE(seen.st_mode):04o}; it must be 0700 or 0750"
    else:
        problem = _exposed(path.absolute())
    if problem is not None:
        os.close(handle)
        raise UnusableDirectory(problem)
    return handle


def _exposed(path: Path) -> str | None:
    """Who else could put another thing in the place of `path`: whoever may write above it, or turn a link there."""
    for each in reversed(path.parents):
        seen = os.lstat(each)
        if seen.st_uid not in (_ROOT, os.geteuid(), _UNMAPPED):
            return f"{path}: {each} above it belongs to uid {seen.st_uid}, who could put another in its place"
        if stat.S_ISLNK(seen.st_mode):
            if (problem := _exposed(each.parent / os.readlink(each) / path.name)) is not None:
                return problem
        elif seen.st_mode & stat.S_IWOTH and not seen.st_mode & stat.S_ISVTX:
            return f"{path}: anybody can write to {each} above it, and put another in its place; chmod o-w {each}"
    return None


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
    if (known := known_secret(state_dir)) is not None:
        return known
    drawn = secrets.token_bytes(_SECRET_BYTES)
    _replace(state_dir / "secret", drawn)
    return drawn


def known_secret(state_dir: Path) -> bytes | None:
    """The same, if they have been drawn."""
    with contextlib.suppress(FileNotFoundError):
        known = (state_dir / "secret").read_bytes()
        if len(known) >= _SECRET_BYTES:  # anything shorter could be guessed
            return known
    return None


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
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """What was made, moved or removed in it stays so after a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def resident_bytes() -> int:
    """This process's resident set."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def spare_files(most: int) -> int:
    """How many connections we may have, at most `most`: half of the files that we may open are for runs, and some for
    ourselves.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else min(most, max((soft - _OWN_FILES) // 2, _FEWEST))
