"""Pure: the environment of a run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.spawner import record

# What must not leak from the submitter or the daemon into a job.
PRIVATE_PREFIXES = ("JOBKEEP_", "LISTEN_")
PRIVATE_NAMES = frozenset({"NOTIFY_SOCKET", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID"})


class Directories(Struct, frozen=True):
    """Absolute paths, existing."""

    socket: str
    spool: str
    state: str
    runtime: str


def cleaned(environment: Mapping[str, str]) -> dict[str, str]:
    """What a job inherits of its submitter's environment."""
    return {
        name: value
        for name, value in environment.items()
        if name not in PRIVATE_NAMES and not name.startswith(PRIVATE_PREFIXES)
    }


def run_variables(
    directories: Directories, job: str, number: int, cookie: str, lock_token: int | None
) -> dict[str, str]:
    variables = {
        "JOBKEEP_SOCKET": directories.socket,
        "JOBKEEP_JOB": job,
        "JOBKEEP_RUN": str(number),
        "JOBKEEP_COOKIE": cookie,
    }
    return variables if lock_token is None else {**variables, "JOBKEEP_LOCK_TOKEN": str(lock_token)}


def trace_variables(spec: JobSpec) -> dict[str, str]:
    """The trace that the job is part of."""
    found = {"TRACEPARENT": spec.traceparent, "TRACESTATE": spec.tracestate}
    return {name: value for name, value in found.items() if value is not None}


def worker_variables(directories: Directories, seat: str, cookie: str, heartbeat: float) -> dict[str, str]:
    return {
        "JOBKEEP_SOCKET": directories.socket,
        "JOBKEEP_SEAT": seat,
        "JOBKEEP_COOKIE": cookie,
        "JOBKEEP_SPOOL": directories.spool,
        "JOBKEEP_HEARTBEAT": f"{heartbeat:g}",
        "JOBKEEP_BEGUN": record.begun_path(directories.runtime, worker_run(seat)),
    }


def worker_run(seat: str) -> str:
    """What a worker's records are called."""
    return f"worker-{seat}"
