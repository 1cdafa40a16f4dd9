"""The interface org.jobkeep.Admin: the daemon itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from jobkeep.protocol.interface import Interface, Method, Nothing
from jobkeep.protocol.jobs import Progress
from jobkeep.protocol.metrics import MetricsReply
from jobkeep.protocol.vocabulary import DrainCommands, Health, JobKind, JobState, OnLost, Role, RunOutcome, Seconds


class StatusReply(Struct):
    version: str
    pid: int
    uptime_s: float
    protocol: int
    jobs: dict[str, int]  # how many are in each state
    queues: dict[str, QueueInfo]
    locks: int
    sessions: int
    sqlite_version: str
    rss_bytes: int
    socket: str
    state_dir: str
    runtime_dir: str
    database_epoch: str
    epoch: int  # rises by one at each start of a daemon on this state directory
    draining: bool = False  # nothing is started
    draining_since: datetime | None = None
    config: str | None = None  # the file that was read at its start
    role: Role | None = None  # of whoever asks


class QueueInfo(Struct):
    limit: int
    running: int
    queued: int


class StopReply(Struct):
    pid: int
    within_s: float = 0.0  # so long it may drain before it ends


class Change(Struct, frozen=True):
    """Of one key of the configuration. None: it is not set, or not any more."""

    key: str
    before: Any
    after: Any


class ReloadReply(Struct):
    """With `problems` nothing has changed. `restart`: what is configured by now, and takes effect at the next start."""

    changed: list[Change]
    restart: list[Change]
    problems: list[str] = []


class DrainParameters(Struct, forbid_unknown_fields=True):
    """`timeout_s` is how long the reply may be waited for; the drain itself goes on. None: until it is over."""

    commands: DrainCommands = "wait"
    timeout_s: Seconds | None = None


class DrainedRun(Struct, frozen=True):
    """A run that was under way when the drain began. `outcome` is None while it runs on."""

    id: str
    name: str
    kind: JobKind
    run: int
    outcome: RunOutcome | None = None
    waited_for: bool = True


class DrainReply(Struct):
    """`drained`: of what is waited for, nothing runs any more. Not `draining`: it was called off meanwhile."""

    draining: bool
    drained: bool
    since: datetime | None
    interrupted: list[DrainedRun]  # queued again, from their checkpoints on
    ended: list[DrainedRun]  # in another way
    running: list[DrainedRun]


class UndrainReply(Struct):
    drained: bool  # there was something to call off


class RecoverParameters(Struct, forbid_unknown_fields=True):
    """`check` writes nothing and says what the same call without it would do. Defaults: [recovery], and each job's
    own on_lost.
    """

    check: bool = False
    older_than_s: Seconds | None = None  # without a sign of life
    then: OnLost | None = None


class RecoverRow(Struct, frozen=True, kw_only=True):
    """One open run, what recovery found and what it does. `stuck_for_s` counts from the last sign of life or progress.
    """

    id: str
    name: str
    run: int
    state: JobState
    health: Health
    progress: Progress
    labels: dict[str, str]
    created_at: datetime
    stuck_for_s: float | None
    verdict: Literal["alive", "starting", "stopping", "late", "stalled", "silent", "unfollowed"]
    action: Literal["leave", "adopt", "fail", "resume"]
    reason: str


class RecoverReply(Struct):
    rows: list[RecoverRow]
    check: bool


class SqlParameters(Struct, forbid_unknown_fields=True):
    query: Annotated[str, Meta(min_length=1, max_length=65536)]


class SqlReply(Struct):
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool = False  # there are more rows than 10,000, or than 6 MiB


File = Annotated[str, Meta(min_length=2, max_length=4096, pattern=r"^/[^\x00]*\Z")]  # an absolute path


class BackupParameters(Struct, forbid_unknown_fields=True):
    """`file` is absolute, and written by the daemon's user: 0600. `force` replaces a file that is there."""

    file: File
    force: bool = False


class BackupReply(Struct):
    """It is whole, on the disk, and was read again."""

    file: str
    bytes: int
    jobs: int
    schema: int
    database_epoch: str
    at: datetime
    seconds: float


class CheckReply(Struct):
    """`problems` of the database: none is fine."""

    problems: list[str]
    bytes: int
    seconds: float


INTERFACE = Interface(
    "org.jobkeep.Admin",
    "The daemon itself.",
    methods=(
        Method("Status", Nothing, StatusReply, "What the daemon is and does."),
        Method("Metrics", Nothing, MetricsReply, "What was counted since the daemon's start, and what is so now."),
        Method("Stop", Nothing, StopReply, "End the daemon; running jobs go on and are adopted by the next one."),
        Method("Reload", Nothing, ReloadReply, "Read the configuration again, and follow it where that is possible."),
        Method("Drain", DrainParameters, DrainReply, "Start nothing more, interrupt functions at their checkpoints."),
        Method("Undrain", Nothing, UndrainReply, "Start jobs again."),
        Method("Recover", RecoverParameters, RecoverReply, "Look at every open run, and end those that are dead."),
        Method("Backup", BackupParameters, BackupReply, "A copy of the database as of one moment, while it goes on."),
        Method("Check", Nothing, CheckReply, "Read all of the database and tell what is wrong with it."),
        Method("Sql", SqlParameters, SqlReply, "Read-only query over the documented views; 5 s at most."),
    ),
)
