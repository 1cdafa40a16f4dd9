"""How long a queued job waits for its start, before it fails without having run: pure."""

from __future__ import annotations

from msgspec import Struct

from jobkeepd.core.model import Job, JobSpec, Moment


class Deadline(Struct, frozen=True):
    """Until when it waits: in a clock that nobody sets, of that boot; in UTC for any other."""

    until: Moment
    utc: float


def deadline_of(spec: JobSpec, now: Moment | None, at: float) -> Deadline | None:
    """Of a job that has become queued now."""
    limit = spec.queue_timeout_s
    if limit is None or now is None:
        return None
    return Deadline(Moment(now.boot_id, now.monotonic + limit), at + limit)


def redated(deadline: Deadline, now: Moment, at: float) -> Deadline:
    """The same after another boot: no other clock has gone on meanwhile than UTC."""
    if deadline.until.boot_id == now.boot_id:
        return deadline
    return Deadline(Moment(now.boot_id, now.monotonic + deadline.utc - at), deadline.utc)


def why_not_started(job: Job) -> str:
    """The reason of a job whose patience has come to its end."""
    limit = job.spec.queue_timeout_s or 0.0
    why = "" if job.blocked is None else f": it waited for {_what(job)}"
    return f"timed out in the queue after {limit:g} s{why}"


def _what(job: Job) -> str:
    match job.blocked:
        case "lock":
            return f"its lock {job.spec.lock}"
        case "key":
            return f"its key {job.spec.key}"
        case "limit":
            return f"the limit of {job.waits_on}"
        case _:
            return "the end of other jobs"
