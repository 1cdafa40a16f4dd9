"""Why the daemon cannot start, or had to end: the errors inside a group of exceptions, in words."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from jobkeepd import journal
from jobkeepd.errors import (
    AlreadyRunning,
    BadConfig,
    Corrupt,
    DaemonError,
    NobodyThere,
    RunsUnknown,
    StorageFailed,
    StorageFull,
    Unopenable,
)

WRONG = "the configuration is wrong"  # clients that have started us know by it whose mistake that is
FAILED = 1
BAD_CONFIG = 2


def leaves(error: BaseException) -> Iterator[BaseException]:
    """What task groups have wrapped, however deep."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def explain(error: BaseException) -> tuple[str, str | None] | None:
    """What is wrong, and a hint, for an error that people can do something about; None for a bug."""
    if isinstance(error, AlreadyRunning):
        return str(error), "`jobkeep daemon status` shows it; each daemon needs its own socket and directories"
    if isinstance(error, RunsUnknown):
        return str(error), "jobkeep daemon start, jobkeep cancel --force them, and stop it again; or jobkeep emergency"
    if isinstance(error, Corrupt):
        return str(error), None  # it says itself what to do
    if isinstance(error, BadConfig):
        return f"{WRONG}: " + "; ".join(error.problems), _KEYS
    if isinstance(error, StorageFull):
        return str(error), "make room on that disk, then start it again"
    if isinstance(error, StorageFailed) and not isinstance(error, Unopenable):
        return str(error), _DISK
    if isinstance(error, NobodyThere):
        return str(error), "--config FILE names the configuration of the daemon that it is about"
    if isinstance(error, DaemonError):
        return str(error), _WHERE
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return (f"{error.filename}: {why}" if error.filename else why), _WHERE
    return None


_DISK = (
    "nothing that was acknowledged is lost: start it again; if that does not help, the kernel's log (dmesg) says what"
    " is wrong with the disk"
)
_KEYS = (
    "jobkeep daemon check-config tells it line by line, and lists every key of one that is right; jobkeepd --help says"
    " which file is read"
)
_WHERE = "see [daemon] in config.toml for where jobkeepd keeps its files"


def tell(what: str, error: BaseException) -> int:
    """Say on stderr what has failed, why, and what to do; the exit status."""
    why, hint = explain(error) or (repr(error), None)
    lines = [f"jobkeepd: {what}{why}", *([f"hint: {hint}"] if hint else [])]
    sys.stderr.write("".join(f"{journal.marks(line, 'error')}\n" for line in lines))
    return status(error)


def status(error: BaseException) -> int:
    """The exit status."""
    return BAD_CONFIG if isinstance(error, BadConfig) else FAILED
