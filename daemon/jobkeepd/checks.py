"""What types cannot say about a configuration: whether its tables make sense, and fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import MsgspecError, convert

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.mistakes import in_words
from jobkeepd.core.families import Family, trouble_of
from jobkeepd.core.rotation import SMALLEST
from jobkeepd.core.schedule import check_schedule
from jobkeepd.core.sessions import QUEUE, trouble_with
from jobkeepd.rpc.faults import Refusal
from jobkeepd.rpc.handlers.submit import check_spec, checked_conflict
from jobkeepd.rpc.settings import AccessSettings
from jobkeepd.runner.settings import DaskSettings
from jobkeepd.supervisor.settings import (
    CleanupSettings,
    FamilySettings,
    LimitSettings,
    LogSettings,
    QueueSettings,
    ScheduleSettings,
    SessionSettings,
)
from jobkeepd.supervisor.zones import zone

# Keys of a schedule that are its job's, by their names in a JobSpec.
_OF_JOB: Final = {
    **{name: name for name in (
        "command", "function", "arguments", "queue", "labels", "key", "lock", "priority", "on_stall", "on_lost",
        "retries", "cwd", "python", "nice", "cpu", "nofile", "env", "secrets", "credentials",
    )},
    **{f"{name}_s": name for name in ("timeout", "queue_timeout", "stall_after", "backoff", "grace")},
    "memory_bytes": "memory",
}  # fmt: skip


def too_small(logs: LogSettings, access: AccessSettings) -> Iterator[str]:
    """Limits of output that would be a rotation for each line."""
    for key, value in (("[logs] max_bytes", logs.max_bytes), ("[access] max_log_bytes", access.max_log_bytes)):
        if 0 < value < SMALLEST:
            yield f"{key} = {value}: write {SMALLEST >> 10}K or more, or 0 for any number"


def troubles(
    cleanup: CleanupSettings,
    queues: Mapping[str, QueueSettings],
    families: Mapping[str, FamilySettings],
    sessions: Mapping[str, SessionSettings],
    schedules: Mapping[str, ScheduleSettings],
    limits: Mapping[str, LimitSettings],
    dask: Mapping[str, DaskSettings],
) -> Iterator[str]:
    """All problems. A table that lacks a key has None for each that it has not: that is told already."""
    if cleanup.schedule:
        yield from _refused(check_schedule, cleanup.schedule, "[cleanup] schedule", ", or nothing for none")
    yield from _of_families(families)
    for name, session in sessions.items():
        told = trouble_with(name, session.command, session.cwd, session.env) if session.command else ()
        yield from (f"[sessions.{name}] {each}" for each in told)
    if QUEUE in queues:
        yield f"[queues.{QUEUE}]: this queue is that of the sessions; choose another name"
    for name, cluster in dask.items():
        if bool(cluster.address) == bool(cluster.scheduler_file):
            yield f"[dask.{name}]: either address or scheduler_file says where its scheduler is"
    for name, schedule in schedules.items():
        yield from (f"[schedules.{name}] {each}" for each in _of_schedule(schedule, queues))


def _refused(check: Callable[[str], object], value: str, where: str, more: str = "") -> Iterator[str]:
    try:
        check(value)
    except ValueError as error:
        form = f"; write five fields, such as 0 2 * * *{more}" if check is check_schedule else ""
        yield f"{where}: {error}{form}"


def _of_schedule(given: ScheduleSettings, queues: Mapping[str, QueueSettings]) -> Iterator[str]:
    yield from _refused(check_schedule, given.cron, "cron")
    yield from _refused(zone, given.timezone, "timezone")
    if given.queue not in queues:
        yield f"queue: there is no queue {given.queue!r}; there are {', '.join(sorted(queues))}"
    try:
        spec = job_of(given)
        check_spec(spec, "")
        checked_conflict(given.on_conflict, spec)
    except Refusal as refusal:
        yield f"{getattr(refusal.fault, 'field', 'command')}: {refusal}"
    except MsgspecError as error:
        yield in_words(str(error))


def job_of(given: ScheduleSettings) -> JobSpec:
    """What it submits. Raises MsgspecError."""
    found = {field: getattr(given, key) for field, key in _OF_JOB.items()}
    return convert({field: value for field, value in found.items() if value is not None}, JobSpec)


def family_of(name: str, given: FamilySettings) -> Family:
    """Raises ValueError."""
    return Family(name, given.match or (), given.child_of or None, given.max_processes or None)


def _of_families(tables: Mapping[str, FamilySettings]) -> Iterator[str]:
    """One that cannot be told from other processes, or from process 1, is refused: its members may be ended."""
    found: dict[str, Family] = {}
    for name, given in tables.items():
        try:
            found[name] = family_of(name, given)
        except ValueError as error:
            yield f"[families.{name}] match: {error}"
    names, command = _process_1()
    yield from (f"[families.{name}] {why}" for name, why in trouble_of(found, names, command))


def _process_1() -> tuple[tuple[str, ...], str]:
    """What it is called, and its command line."""
    try:
        name = Path("/proc/1/comm").read_text(encoding="utf-8", errors="replace").strip()
        command = Path("/proc/1/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ("init",), ""
    return (name,), command
