"""Jobs, runs and what is known of them: frozen Structs. Times are UTC seconds, durations seconds."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw, Struct

from jobkeep.protocol.jobs import ErrorInfo, FailedItem, JobSpec, Progress
from jobkeep.protocol.vocabulary import JobState, RunOutcome

RunState = Literal["starting", "running", "ended"]
NULL = Raw(b"null")


class Peer(Struct, frozen=True):
    """Who asked, from SO_PEERCRED."""

    uid: int
    gid: int
    pid: int


class Identity(Struct, frozen=True):
    """What makes a process this one and no other. `start_ticks` is field 22 of /proc/PID/stat."""

    boot_id: str
    pid: int
    start_ticks: int
    pidfd_inode: int | None = None


class Usage(Struct, frozen=True):
    user_s: float
    system_s: float
    max_rss_kib: int


class Exit(Struct, frozen=True):
    """The end of a leader as its parent saw it. `status` is the raw wait status."""

    status: int
    ended_at: float
    usage: Usage | None = None
    writer: str = "shim"


class RunRef(Struct, frozen=True):
    """Names a run in every write on its behalf: the store refuses a fence that is not the job's."""

    job: str
    number: int
    fence: int

    @property
    def id(self) -> str:
        return f"{self.job}.{self.number}"


class Run(Struct, frozen=True, kw_only=True):
    number: int
    fence: int
    state: RunState
    seat: str  # the slot or worker it was given to
    epoch: int  # of the daemon that committed `starting`
    cookie: str
    claimed_at: float
    started_at: float | None = None
    ended_at: float | None = None
    outcome: RunOutcome | None = None
    status: int | None = None  # raw wait status of a command's leader
    reason: str | None = None
    usage: Usage | None = None
    identity: Identity | None = None


class Job(Struct, frozen=True, kw_only=True):
    """A job with its latest run. `fence` is the highest ever given out for it."""

    seq: int
    id: str
    spec: JobSpec  # without `environment`
    environment: str | None  # hash of the stored environment
    owner: int  # uid
    state: JobState
    created_at: float
    due_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    fence: int = 0
    attempts: int = 0  # charged against `retries`
    run: Run | None = None
    progress: Progress = Progress()
    checkpoint_seq: int = 0
    checkpoint_at: float | None = None
    only_failed: bool = False  # the next (or current) run takes only failed items
    stop: str | None = None  # why the current run is being ended: cancelled | restart | restart_from_start
    outcome: RunOutcome | None = None
    reason: str | None = None
    error: ErrorInfo | None = None

    @property
    def ref(self) -> RunRef:
        """The latest run, as writes name it."""
        assert self.run is not None
        return RunRef(self.id, self.run.number, self.run.fence)


class SavedCheckpoint(Struct, frozen=True):
    """What a run continues from."""

    seq: int = 0
    cursor: Raw = NULL
    state: Raw = NULL


class Entry(Struct, frozen=True, kw_only=True):
    """One row of the journal."""

    seq: int
    at: float
    kind: str
    job: str | None = None
    run: int | None = None
    by: Peer | None = None
    data: dict[str, Any] = {}


__all__ = [
    "NULL", "Entry", "ErrorInfo", "Exit", "FailedItem", "Identity", "Job", "JobSpec", "JobState", "Peer",
    "Progress", "Run", "RunOutcome", "RunRef", "RunState", "SavedCheckpoint", "Usage",
]  # fmt: skip
