"""Why the daemon cannot start, or had to end: the errors inside a group of exceptions, in words."""

from __future__ import annotations

from collections.abc import Iterator

from jobkeepd.errors import AlreadyRunning, BadConfig, Corrupt, DaemonError

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
    if isinstance(error, Corrupt):
        return str(error), None  # it says itself what to do
    if isinstance(error, BadConfig):
        return "; ".join(error.problems), "config.toml lists every key, its default and its environment variable"
    if isinstance(error, DaemonError):
        return str(error), _WHERE
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return (f"{error.filename}: {why}" if error.filename else why), _WHERE
    return None


_WHERE = "see [daemon] in config.toml for where jobkeepd keeps its files"


def status(error: BaseException) -> int:
    """The exit status."""
    return BAD_CONFIG if isinstance(error, BadConfig) else FAILED
