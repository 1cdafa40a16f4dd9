"""Between Structs and rows. Nested values are JSON text: readable in SQL, decoded by msgspec."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from msgspec import json

from jobkeep.protocol.jobs import ErrorInfo, FailedItem, JobSpec, Progress
from jobkeepd.core.model import Entry, Job, Peer, Run

_T = TypeVar("_T")
_encode: Final = json.Encoder().encode
_spec: Final = json.Decoder(JobSpec).decode
_run: Final = json.Decoder(Run).decode
_error: Final = json.Decoder(ErrorInfo).decode
_tallies: Final = json.Decoder(dict[str, int]).decode
_data: Final = json.Decoder(dict[str, Any]).decode

JOB_COLUMNS: Final = (
    "seq, id, owner, environment, created_at,"
    " state, due_at, started_at, ended_at, attempts, only_failed, stop, outcome, reason, error,"
    " fence, run, done, total, note, tallies, failed_items, checkpoint_seq, checkpoint_at,"
    " coalesce(spec, (SELECT data FROM spec WHERE job_seq = seq))"
)
ENTRY_COLUMNS: Final = "seq, at, kind, job, run, uid, gid, pid, data"
ITEM_COLUMNS: Final = "key, error, batch, ordinal, run"

INSERT_JOB: Final = (
    "INSERT INTO job (seq, id, name, kind, queue, priority, key, owner, environment, created_at, newest_at,"
    " state, last_entry, spec) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_SPEC: Final = "INSERT INTO spec (job_seq, data) VALUES (?, ?)"
# `prev` is given where it is known, else it is the job's
INSERT_ENTRY: Final = (
    "INSERT INTO journal (seq, at, kind, job, run, uid, gid, pid, data, prev)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, (SELECT last_entry FROM job WHERE seq = ?)))"
)
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
        job.owner,
        job.environment,
        job.created_at,
        newest_at,
        job.state,
        last_entry,
        spec_text,
    )


def job_from_row(row: Any) -> Job:
    """Of JOB_COLUMNS."""
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
        spec=_spec(row[24]),
    )


def run_from_text(data: str) -> Run:
    return _run(data)


def entry_row(entry: Entry, prev: int | None, job_seq: int | None) -> tuple[Any, ...]:
    """For INSERT_ENTRY."""
    by = entry.by
    data = _encode(entry.data).decode() if entry.data else None
    uid, gid, pid = (None, None, None) if by is None else (by.uid, by.gid, by.pid)
    return (entry.seq, entry.at, entry.kind, entry.job, entry.run, uid, gid, pid, data, prev, job_seq)


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
