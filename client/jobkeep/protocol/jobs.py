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
    OnStall,
    RequestId,
    RunOutcome,
    Seconds,
    Stream,
    Text,
)

Argv = Annotated[list[Annotated[str, Meta(max_length=131072)]], Meta(min_length=1, max_length=4096)]
Path = Annotated[str, Meta(min_length=1, max_length=4096)]
Labels = Annotated[dict[Name, Annotated[str, Meta(max_length=256)]], Meta(max_length=64)]
Parents = Annotated[list[JobId], Meta(max_length=1000)]
Environment = Annotated[dict[str, str], Meta(max_length=4096)]
CredentialName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*\Z")]
Secrets = Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=1000)]
Trace = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[ -~]+\Z")]  # https://www.w3.org/TR/trace-context/
Cluster = Annotated[str, Meta(max_length=133, pattern=r"^dask:[A-Za-z0-9][A-Za-z0-9._:@/+-]*\Z")]  # dask:NAME
Function = Annotated[str, Meta(max_length=512, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")]


class ShownSpec(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """A JobSpec in a reply. A later daemon may show fields that this client does not know."""

    command: Argv | None = None
    function: Function | None = None
    arguments: dict[str, Any] = {}  # keyword arguments of the function, at most 256 KiB encoded
    name: Name | None = None  # default: the command's or the function's own name
    queue: Name = "default"
    labels: Labels = {}
    key: Name | None = None  # identity of the request: at most one live job has it
    lock: Name | None = None  # mutual exclusion while a run lasts; a job whose lock is held waits, and takes no place
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0  # higher goes first
    delay_s: Seconds | None = None  # it is not started before so long after it was accepted
    at: Annotated[datetime, Meta(tz=True)] | None = None  # it is not started before; one of the two at most
    after: Parents = []  # ids or unique prefixes of jobs: it starts when all of them have succeeded, else it fails
    after_label: Labels = {}  # the same for all jobs that have these labels and have not ended when it is submitted
    after_any_end: bool = False  # it starts when they have ended, however
    timeout_s: Seconds | None = None  # of one run
    queue_timeout_s: Seconds | None = None  # how long it may wait for its start, before it fails without having run
    stall_after_s: Seconds | None = None  # without progress it is stalled; 0: never; default [jobs] stall_after
    on_stall: OnStall | None = None  # what becomes of a run that is stalled; default [jobs] on_stall
    grace_s: Seconds | None = None  # between asking a run to stop, TERM and KILL; default [jobs] grace
    on_lost: OnLost | None = None  # what becomes of a run whose end nobody saw; default [jobs] on_lost
    retries: Annotated[int, Meta(ge=0, le=1000)] = 0  # automatic further attempts after a failure
    backoff_s: Seconds = 1.0  # before the first retry; doubles each time, at most an hour
    cwd: Path | None = None  # absolute; default: the daemon's state directory
    python: Path | None = None  # interpreter for a function
    on: Cluster | None = None  # where a function runs; default: on this host. dask:NAME, as [dask.NAME] says
    umask: Annotated[int, Meta(ge=0, le=0o777)] = 0o022
    # What a run may take; None: what the daemon may. `nice` is from -20 to 19, and below the daemon's for root alone.
    nice: Annotated[int, Meta(ge=-20, le=19)] | None = None
    memory_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 50)] | None = None
    cpu: Annotated[float, Meta(ge=0.01, le=65536)] | None = None  # how many, 0.5 for half of one
    nofile: Annotated[int, Meta(ge=16, le=1 << 30)] | None = None  # open files of each process
    env: Environment = {}  # explicit variables, on top of `environment`
    secrets: Secrets = []  # names in `env` and `arguments` whose values are kept apart and never shown
    # of the daemon (LoadCredential= of its unit): files in the job's own $CREDENTIALS_DIRECTORY while it runs
    credentials: Annotated[list[CredentialName], Meta(max_length=64)] = []
    traceparent: Trace | None = None  # of the trace that the submit is part of, as W3C has it; the job's TRACEPARENT
    tracestate: Trace | None = None
    environment: Environment | None = None  # the submitter's whole environment; stored once, never shown


class JobSpec(ShownSpec, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """What to run and how. Exactly one of `command` and `function`. Durations are seconds."""


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


class LogSize(Struct, frozen=True):
    """How much a run has written to a stream, and from which offset on it is still there: see [logs] and LogChunk."""

    stream: Stream
    bytes: Count
    first: Count = 0


class Action(Struct, frozen=True):
    """Whether the daemon would accept a verb now; `reason` says why not."""

    allowed: bool
    reason: str | None = None


class Actions(Struct, frozen=True):
    cancel: Action
    resume: Action
    resume_failed_items: Action
    restart: Action
    rm: Action | None = None  # an older daemon does not say


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
    elapsed_s: float | None  # of its runs together, the one under way included; pauses between them are not counted
    progress: Progress
    checkpoint: Checkpoint | None
    steps: int = 0  # how many have their results stored, and are not run again
    heartbeat_age_s: float | None
    stuck_for_s: float | None
    health_reason: str | None = None  # why it is late or stalled
    outcome: Outcome | None
    actions: Actions
    spec: ShownSpec
    held: str | None = None  # why it is not started: the daemon starts nothing, or what it waits for
    output: list[LogSize] | None = None  # of its latest run; only where it was asked for


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
    # When a live job has the key, or the lock is held. Default: reject for a key, queue (wait) for a lock.
    on_conflict: OnConflict | None = None


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


class GetParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    output: bool = False  # also say how much output there is


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
    notice: str | None = None  # what keeps the daemon from taking and starting jobs


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


class RemoveParameters(Struct, forbid_unknown_fields=True):
    id: JobId
    reason: Text | None = None


class RemoveReply(Struct):
    id: str


class MatchingParameters(Struct, kw_only=True, forbid_unknown_fields=True):
    """The jobs that a verb is for: all conditions hold. Newest come first, a page of them per call."""

    state: list[JobState] | None = None  # default: those in which the verb can be meant
    queue: Name | None = None
    label: Labels | None = None
    since_s: Seconds | None = None  # created or ended within the last `since_s` seconds
    all: bool = False  # needed where there is no other condition
    dry_run: bool = False  # change nothing; say what the same call without it would do
    reason: Text | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 200  # of one call: one transaction
    before: Count | None = None  # `next` of the page before
    # What has begun or ended later is left alone by Resume and Restart, so that the same page may be asked for again.
    as_of: Annotated[datetime, Meta(tz=True)] | None = None


class CancelMatchingParameters(MatchingParameters, kw_only=True, forbid_unknown_fields=True):
    force: bool = False


class ResumeMatchingParameters(MatchingParameters, kw_only=True, forbid_unknown_fields=True):
    failed_items: bool = False


class RestartMatchingParameters(MatchingParameters, kw_only=True, forbid_unknown_fields=True):
    from_start: bool = False


class Refusal(Struct, frozen=True):
    """How many jobs were refused for the same reason; `id` is one of them."""

    reason: str
    count: int
    id: str


class MatchingReply(Struct):
    """What became of one page. It is durable."""

    ids: list[str]  # accepted
    states: dict[str, int]  # how many of those are what now: a state of jobs, or `removed`
    refused: list[Refusal]
    next: int | None = None  # pass as `before` for the next page


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


class LogChunk(Struct, omit_defaults=True):
    """Bytes of one stream of one run, base64, exact; `offset` is where they begin in it. One without any says that the
    `dropped` bytes before were asked for, and are not there any more: the log has been rotated.
    """

    stream: Stream
    run: int
    offset: int
    data: bytes
    dropped: Count = 0


class HistoryParameters(Struct, forbid_unknown_fields=True):
    id: JobId


class HistoryReply(Struct):
    entries: list[Event]


class Reason(Struct, frozen=True):
    """`kind` is for programs, `text` a sentence for people, `name` what it is about: a queue, a lock or another job."""

    # after, lock, key, draining, paused, limit, due, starting, running, fenced, health, stopping, recovery, outcome,
    # killed, resume
    kind: str
    text: str
    name: str | None = None


class ExplainReply(Struct):
    """Why the job does not run, or does not move: the most important reason first."""

    id: str
    state: JobState
    health: Health
    reasons: list[Reason]
    actions: Actions


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
        Method("Get", GetParameters, JobReply, "One job, by id or unique prefix."),
        Method("List", ListParameters, ListReply, "Jobs, newest first, a page at a time."),
        Method("Cancel", CancelParameters, StateReply, "Ask a job to stop, then make it stop."),
        Method("Resume", ResumeParameters, StateReply, "Continue a failed or cancelled job from its checkpoint."),
        Method("Restart", RestartParameters, StateReply, "End a running job's run for sure, then continue it."),
        Method("Remove", RemoveParameters, RemoveReply, "Forget an ended job, its output included."),
        Method("CancelMatching", CancelMatchingParameters, MatchingReply, "Cancel a page of jobs by a filter."),
        Method("ResumeMatching", ResumeMatchingParameters, MatchingReply, "Resume a page of jobs by a filter."),
        Method("RestartMatching", RestartMatchingParameters, MatchingReply, "Restart a page of jobs by a filter."),
        Method("RemoveMatching", MatchingParameters, MatchingReply, "Remove a page of ended jobs by a filter."),
        Method("Wait", WaitParameters, WaitReply, "Reply once all (or any) of the jobs have ended."),
        Method("Result", JobParameters, ResultReply, "What a succeeded function returned."),
        Method("Logs", LogsParameters, LogChunk, "Output of a run, chunk by chunk.", more=True),
        Method("History", HistoryParameters, HistoryReply, "The journal of one job, oldest first."),
        Method("Explain", JobParameters, ExplainReply, "Why it does not run, or does not move."),
        Method("FailedItems", FailedItemsParameters, FailedItemsReply, "Items that failed, with their errors."),
        Method("Events", EventsParameters, EventReply, "The journal as it grows; gap-free by seq.", more=True),
    ),
)
