"""Pure: the environment of a run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

# What must not leak from the submitter or the daemon into a job.
PRIVATE_PREFIXES = ("JOBKEEP_", "LISTEN_")
PRIVATE_NAMES = frozenset({"NOTIFY_SOCKET", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID"})


class Directories(Struct, frozen=True):
    """Absolute paths, existing."""

    socket: str
    spool: str
    state: str


def cleaned(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name not in PRIVATE_NAMES and not name.startswith(PRIVATE_PREFIXES)
    }


class Cleaner:
    """`cleaned`, once per mapping: the same object in, the same object out."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._known: dict[int, tuple[Mapping[str, str], dict[str, str]]] = {}  # by id, which lasts while it is held

    def clean(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        known = self._known.get(id(environment))
        if known is None:
            if len(self._known) >= self._size:
                self._known.clear()
            known = self._known[id(environment)] = (environment, cleaned(environment))
        return known[1]


def job_environment(
    inherited: Mapping[str, str], explicit: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """What a command sees: the submitter's environment, then `--env`, then jobkeep's own variables."""
    return {**cleaned(inherited), **explicit, **own}


def run_variables(directories: Directories, job: str, number: int, cookie: str) -> dict[str, str]:
    return {
        "JOBKEEP_SOCKET": directories.socket,
        "JOBKEEP_JOB": job,
        "JOBKEEP_RUN": str(number),
        "JOBKEEP_COOKIE": cookie,
    }


def worker_variables(directories: Directories, seat: str, cookie: str) -> dict[str, str]:
    return {
        "JOBKEEP_SOCKET": directories.socket,
        "JOBKEEP_SEAT": seat,
        "JOBKEEP_COOKIE": cookie,
        "JOBKEEP_SPOOL": directories.spool,
    }


def worker_run(seat: str) -> str:
    """What a worker's records are called."""
    return f"worker-{seat}"
