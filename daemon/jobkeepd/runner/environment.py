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
    """What a job inherits of its submitter's environment."""
    return {
        name: value
        for name, value in environment.items()
        if name not in PRIVATE_NAMES and not name.startswith(PRIVATE_PREFIXES)
    }


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
