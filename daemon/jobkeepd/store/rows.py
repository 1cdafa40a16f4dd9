"""Between Structs and rows. Nested values are JSON text: readable in SQL, decoded by msgspec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import structlog
from msgspec import MsgspecError, json

from jobkeep.protocol.jobs import ErrorInfo, FailedItem, JobSpec, Progress
from jobkeepd.core.firing import Schedule
from jobkeepd.core.lease import Lock
from jobkeepd.core.model import Entry, Job, Peer, Run
from jobkeepd.core.queueing import Control
from jobkeepd.errors import UnreadableJob

log = structlog.get_logger()
_T = TypeVar("_T")
_encode: Final = json.Encoder().encode
_spec: Final = json.Decoder(JobSpec).decode
_run: Final = json.Decoder(Run).decode
_lock: Final = json.Decoder(Lock).decode
_control: Final = json.Decoder(Control).decode
_schedule: Final = json.Decoder(Schedule).decode
_error: Final = json.Decoder(ErrorInfo).decode
_tallies: Final = json.Decoder(dict[str, int]).decode
_data: Final = json.Decoder(dict[str, Any]).decode

JOB_COLUMNS: Final = (
    "seq, id, owner, environment, created_at,"
    " state, due_at, started_at, ended_at, attempts, only_failed, stop, outcome, reason, error,"
    " fence, run, done, total, note, tallies, failed_items, checkpoint_seq, checkpoint_at, key_slot, blocked,"
    " waits_on, awaited, line_at, turn_at, coalesce(spec, (SELECT data FROM spec WHERE job_seq = seq))"
)
ENTRY_COLUMNS: Final = "seq, at, kind, job, run, uid, gid, pid, data"
ITEM_COLUMNS: Final = "key, error, batch, ordinal, run"

_NEW_JOB: Final = (
    "seq", "id", "name", "kind", "queue", "priority", "key", "key_slot", "lock", "blocked", "owner", "environment",
    "created_at", "newest_at", "state", "due_at", "waits_on", "line_at", "turn_at", "last_entry", "spec",
)  # fmt: skip
INSERT_JOB: Final = f"INSERT INTO job ({', '.join(_NEW_JOB)}) VALUES ({', '.join('?' * len(_NEW_JOB))})"
# The values of the first, and a list of all their ids.
INSERT_ALIKE_JOBS: Final = (
    f"INSERT INTO job ({', '.join(_NEW_JOB)}) SELECT "
    + ", ".join(
        {"seq": "?{} + key", "id": "value", "last_entry": "?{} + key"}.get(column, "?{}").format(number)
        for number, column in enumerate(_NEW_JOB, 1)
    )
    + f" FROM json_each(?{len(_NEW_JOB) + 1})"
)
INSERT_SPEC: Final = "INSERT INTO spec (job_seq, data) VALUES (?, ?)"
# `prev` is given where it is known, else it is the job's
INSERT_ENTRY: Final = (
    "INSERT INTO journal (seq, at, kind, job, run, uid, gid, pid, data, prev)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, (SELECT last_entry FROM job WHERE seq = ?)))"
)
# Of jobs without earlier ones: the values of the first, and a list of the ids of all these jobs.
INSERT_ALIKE_ENTRIES: Final = (
    "INSERT INTO journal (seq, at, kind, job, run, uid, gid, pid, data, prev)"
    " SELECT ?1 + key, ?2, ?3, value, ?5, ?6, ?7, ?8, ?9, 0 FROM json_each(?10)"
)
INSERT_ITEM: Final = (
    "INSERT INTO failed_item (job_seq, key, error, batch, ordinal, run, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
DELETE_ITEM: Final = "DELETE FROM failed_item WHERE job_seq = ? AND batch = ? AND key = ?"
SPEC_IN_ROW: Final = 1024  # bytes: a bigger one would be copied at each step of its job


def text(value: Any) -> str:
    return _encode(value).decode()


def name_of(spec: JobSpec) -> str:
    """The name that a job without one goes by: that of its command or function."""
    if spec.name is not None:
        return spec.name
    if spec.function is not None:
        return spec.function.partition(":")[2]
    command = spec.command or [""]
    return command[0].rstrip("/").rpartition("/")[2] or command[0]


def new_job_row(job: Job, newest_at: float, last_entry: int, spec_text: str | None) -> tuple[Any, ...]:
    """For INSERT_JOB."""
    spec = job.spec
    return (
        job.seq,
        job.id,
        name_of(spec),
        "command" if spec.function is None else "function",
        spec.queue,
        spec.priority,
        spec.key,
        job.key_slot,
        spec.lock,
        job.blocked,
        job.owner,
        job.environment,
        job.created_at,
        newest_at,
        job.state,
        job.due_at,
        job.waits_on,
        job.line_at,
        job.turn_at,
        last_entry,
        spec_text,
    )


def job_from_row(row: Any) -> Job:
    """Of JOB_COLUMNS. Raises UnreadableJob."""
    try:
        return _job(row)
    except (MsgspecError, TypeError, ValueError) as error:
        raise UnreadableJob(row[1], str(error)) from error


def readable(found: Iterable[Any]) -> Iterator[Job]:
    """Of JOB_COLUMNS: a row that cannot be read hides no other."""
    for row in found:
        try:
            yield job_from_row(row)
        except UnreadableJob as error:
            log.error("job_unreadable", job=error.job, error=str(error))


def _job(row: Any) -> Job:
    error, run, tallies = row[14], row[16], row[20]
    return Job(
        seq=row[0],
        id=row[1],
        owner=row[2],
        environment=row[3],
        created_at=row[4],
        state=row[5],
        due_at=row[6],
        started_at=row[7],
        ended_at=row[8],
        attempts=row[9],
        only_failed=bool(row[10]),
        stop=row[11],
        outcome=row[12],
        reason=row[13],
        error=None if error is None else _error(error),
        fence=row[15],
        run=None if run is None else _run(run),
        progress=Progress(row[17], row[18], row[19], {} if tallies is None else _tallies(tallies), row[21]),
        checkpoint_seq=row[22],
        checkpoint_at=row[23],
        key_slot=row[24],
        blocked=row[25],
        waits_on=row[26],
        awaited=bool(row[27]),
        line_at=row[28],
        turn_at=row[29],
        spec=_spec(row[30]),
    )


def lock_from_text(data: str) -> Lock:
    return _lock(data)


def schedule_from_text(data: str) -> Schedule:
    return _schedule(data)


def control_from_text(data: str) -> Control:
    return _control(data)


def run_from_text(data: str) -> Run:
    return _run(data)


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """For INSERT_ENTRY, without what tells of the one before."""
    by = entry.by
    data = _encode(entry.data).decode() if entry.data else None
    uid, gid, pid = (None, None, None) if by is None else (by.uid, by.gid, by.pid)
    return (entry.seq, entry.at, entry.kind, entry.job, entry.run, uid, gid, pid, data)


def entry_from_row(row: Any) -> Entry:
    """Of ENTRY_COLUMNS."""
    seq, at, kind, job, run, uid, gid, pid, data = row
    return Entry(
        seq=seq,
        at=at,
        kind=kind,
        job=job,
        run=run,
        by=None if uid is None else Peer(uid, gid, pid),
        data={} if data is None else _data(data),
    )


def item_from_row(row: Any) -> FailedItem:
    """Of ITEM_COLUMNS."""
    key, error, batch, ordinal, run = row
    return FailedItem(key, _error(error), batch, ordinal, run)
