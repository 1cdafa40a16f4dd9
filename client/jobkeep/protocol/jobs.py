"""The interface org.jobkeep.Jobs: submit jobs, look at them, act on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from jobkeep.protocol.interface import Interface, Method
from jobkeep.protocol.vocabulary import (
    Count,
    Health,
    JobId,
    JobKind,
    JobState,
    Name,
    OnConflict,
    OnLost,
    RequestId,
    RunOutcome,
    Seconds,
    Stream,
    Text,
)

Argv = Annotated[list[Annotated[str, Meta(max_length=131072)]], Meta(min_length=1, max_length=4096)]
Path = Annotated[str, Meta(min_length=1, max_length=4096)]
Labels = Annotated[dict[Name, Annotated[str, Meta(max_length=256)]], Meta(max_length=64)]
Environment = Annotated[dict[str, str], Meta(max_length=4096)]
Function = Annotated[str, Meta(max_length=512, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")]


class JobSpec(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """What to run and how. Exactly one of `command` and `function`. Durations are seconds."""

    command: Argv | None = None
    function: Function | None = None
    arguments: dict[str, Any] = {}  # keyword arguments of the function, at most 256 KiB encoded
    name: Name | None = None  # default: the command's or the function's own name
    queue: Name = "default"
    labels: Labels = {}
    key: Name | None = None  # identity of the request: at most one live job has it
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0  # higher goes first
    timeout_s: Seconds | None = None  # of one run
    grace_s: Seconds | None = None  # between asking a run to stop, TERM and KILL; default [jobs] grace
    on_lost: OnLost | None = None  # what becomes of a run whose end nobody saw; default [jobs] on_lost
    retries: Annotated[int, Meta(ge=0, le=1000)] = 0  # automatic further attempts after a failure
    backoff_s: Seconds = 1.0  # before the first retry; doubles each time, at most an hour
    cwd: Path | None = None  # absolute; default: the daemon's state directory
    python: Path | None = None  # interpreter for a function
    umask: Annotated[int, Meta(ge=0, le=0o777)] = 0o022
    env: Environment = {}  # explicit variables, on top of `environment`
    environment: Environment | None = None  # the submitter's whole environment; stored once, never shown


class Progress(Struct, frozen=True):
    """How far a job is. `done` counts finished items, `tallies` the same items by outcome."""

    done: Count = 0
    total: Count | None = None
    note: str | None = None
    tallies: dict[str, int] = {}
    failed_items: Count = 0


class Checkpoint(Struct, frozen=True):
    seq: int
    at: datetime


class ErrorInfo(Struct, frozen=True):
    """An exception of a function: its qualified type, its message and its traceback as text."""

    type: str
    message: str
    traceback: str | None = None


class Outcome(Struct, frozen=True):
    """How the latest run ended. `signal` is a number; `exit_code` is None where a signal or nobody ended it."""

    kind: RunOutcome
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    error: ErrorInfo | None = None


class Run(Struct, frozen=True):
    number: int
    outcome: RunOutcome | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None


class Action(Struct, frozen=True):
    """Whether the daemon would accept a verb now; `reason` says why not."""

    allowed: bool
    reason: str | None = None


class Actions(Struct, frozen=True):
    cancel: Action
    resume: Action
    resume_failed_items: Action
    restart: Action


class Job(Struct, frozen=True, kw_only=True):
    """A job as people see it. `attempt` is the number of the latest run, 0 before the first."""

    id: str
    name: str
    kind: JobKind
    state: JobState
    health: Health
    queue: str
    labels: dict[str, str]
    key: str | None
    lock: str | None
    priority: int
    attempt: int
    runs: list[Run]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    due_at: datetime | None  # of a scheduled job or of the next retry
    elapsed_s: float | None
    progress: Progress
    checkpoint: Checkpoint | None
    heartbeat_age_s: float | None
    stuck_for_s: float | None
    outcome: Outcome | None
    actions: Actions
    spec: JobSpec


class FailedItem(Struct, frozen=True):
    """One item that failed; `key` is unique in its batch, `batch` names the for_each it belongs to."""

    key: Annotated[str, Meta(max_length=1024)]
    error: ErrorInfo
    batch: str = "0"
    ordinal: Count = 0  # its position in the source
    run: int = 0


class Event(Struct, frozen=True, kw_only=True):
    """One journal entry. `seq` rises without gaps over the whole daemon; `run` is a run number."""

    seq: int
    at: datetime
    kind: str
    job: str | None = None
    run: int | None = None
    by: By | None = None
    data: dict[str, Any] = {}


class By(Struct, frozen=True):
    uid: int
    pid: int | None = None


class SubmitParameters(Struct, forbid_unknown_fields=True):
    spec: JobSpec
    request_id: RequestId | None = None  # the same id gives the same answer, also after a crash
    on_conflict: OnConflict = "reject"


class SubmitReply(Struct):
    id: str
    state: JobState
    created: bool  # False: a live job with this key, or this request, was there already


class SubmitManyParameters(Struct, forbid_unknown_fields=True):
    """All items or none. An item overrides fields of the template."""

    template: JobSpec
    items: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=1000)]
    request_id: RequestId | None = None


class SubmitManyReply(Struct):
    ids: list[str]


class JobParameters(Struct, forbid_unknown_fields=True):
    id: JobId  # or any unique prefix of it


class JobReply(Struct):
    job: Job


class ListParameters(Struct, forbid_unknown_fields=True):
    state: list[JobState] | None = None
    queue: Name | None = None
    label: Labels | None = None
    since_s: Seconds | None = None  # created or ended within the last `since_s` seconds
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: Count | None = None  # `next` of the page before; newest jobs come first


class ListReply(Struct):
    jobs: list[Job]
    next: int | None = None  # pass as `before` for the next page


class CancelParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    force: bool = False  # skip the cooperative step and the grace periods
    reason: Text | None = None


class ResumeParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    failed_items: bool = False  # run only the items that failed
    reason: Text | None = None


class RestartParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    from_start: bool = False  # forget the checkpoint; history is kept
    reason: Text | None = None


class StateReply(Struct):
    id: str
    state: JobState


class WaitParameters(Struct, forbid_unknown_fields=True):
    ids: Annotated[list[JobId], Meta(min_length=1, max_length=1000)]
    any: bool = False
    timeout_s: Seconds | None = None


class WaitReply(Struct):
    """The jobs that have ended, in the order asked for. Empty after a time-out."""

    jobs: list[Job]
    timed_out: bool = False


class ResultReply(Struct):
    """What the function returned; null for commands and functions that returned None."""

    result: Raw | UnsetType = UNSET


class LogsParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    run: Annotated[int, Meta(ge=1)] | None = None  # default: the latest
    stream: Stream | None = None  # default: both
    lines: Count | None = None  # only the last lines; default all
    offset: Count | None = None  # begin at this byte; needs `stream`, and stands in place of `lines`
    follow: bool = False  # go on until the run has ended


class LogChunk(Struct):
    """Bytes of one stream of one run, base64, exact; `offset` is where they begin in it."""

    stream: Stream
    run: int
    offset: int
    data: bytes


class HistoryParameters(Struct, forbid_unknown_fields=True):
    id: JobId


class HistoryReply(Struct):
    entries: list[Event]


class FailedItemsParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    after: Count = 0  # how many to skip
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class FailedItemsReply(Struct):
    items: list[FailedItem]
    total: int


class EventsParameters(Struct, forbid_unknown_fields=True):
    after: Count | None = None  # default: from now on when following, else everything kept
    job: JobId | None = None
    follow: bool = False


class EventReply(Struct):
    event: Event


INTERFACE = Interface(
    "org.jobkeep.Jobs",
    "Jobs of this host: submit them, look at them, act on them.",
    methods=(
        Method("Submit", SubmitParameters, SubmitReply, "Accept one job. The reply means: durable."),
        Method("SubmitMany", SubmitManyParameters, SubmitManyReply, "Accept up to 1000 jobs, all or none."),
        Method("Get", JobParameters, JobReply, "One job, by id or unique prefix."),
        Method("List", ListParameters, ListReply, "Jobs, newest first, a page at a time."),
        Method("Cancel", CancelParameters, StateReply, "Ask a job to stop, then make it stop."),
        Method("Resume", ResumeParameters, StateReply, "Continue a failed or cancelled job from its checkpoint."),
        Method("Restart", RestartParameters, StateReply, "End a running job's run for sure, then continue it."),
        Method("Wait", WaitParameters, WaitReply, "Reply once all (or any) of the jobs have ended."),
        Method("Result", JobParameters, ResultReply, "What a succeeded function returned."),
        Method("Logs", LogsParameters, LogChunk, "Output of a run, chunk by chunk.", more=True),
        Method("History", HistoryParameters, HistoryReply, "The journal of one job, oldest first."),
        Method("FailedItems", FailedItemsParameters, FailedItemsReply, "Items that failed, with their errors."),
        Method("Events", EventsParameters, EventReply, "The journal as it grows; gap-free by seq.", more=True),
    ),
)
