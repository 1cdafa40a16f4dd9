"""Jobs, runs and what is known of them: frozen Structs. Times are UTC seconds, durations seconds."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw, Struct

from jobkeep.protocol.jobs import ErrorInfo, FailedItem, JobSpec, Progress
from jobkeep.protocol.vocabulary import JobState, RunOutcome

RunState = Literal["starting", "running", "ended"]
Blocked = Literal["key", "after", "lock", "limit"]
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
    oom: int = 0  # processes of it that the kernel has ended for wanting more memory than its limit


class Moment(Struct, frozen=True):
    """A point in time that no clock setting moves: seconds of CLOCK_MONOTONIC, of that boot."""

    boot_id: str
    monotonic: float


class RunRef(Struct, frozen=True):
    """Names a run in every write on its behalf: the store refuses a fence that is not the job's."""

    job: str
    number: int
    fence: int

    @property
    def id(self) -> str:
        return f"{self.job}.{self.number}"


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True):
    number: int
    fence: int
    state: RunState
    seat: str  # the slot or worker it was given to
    epoch: int  # of the daemon that committed `starting`
    cookie: str
    claimed_at: float
    claimed: float | None = None  # the same in CLOCK_MONOTONIC: None of one that an older daemon has claimed
    started_at: float | None = None
    began: Moment | None = None  # when it was started: its timeout counts from there
    ended_at: float | None = None
    outcome: RunOutcome | None = None
    status: int | None = None  # raw wait status of a command's leader
    reason: str | None = None
    usage: Usage | None = None
    identity: Identity | None = None
    lock_token: int | None = None  # of the lock it holds, or held
    fenced: str | None = None  # why nothing counts any more that it says
    steps: int = 0  # results of steps that are stored of its job
    saved_before: int = 0  # what the job had saved when it was claimed
    futile: int = 0  # how often in a row policy has run the job again, up to this run, and it saved nothing

    @property
    def order(self) -> tuple[float, float]:
        """Sorts the runs of a seat as they were claimed, wherever the wall clock was set meanwhile."""
        return (-1.0 if self.claimed is None else self.claimed, self.claimed_at)


class Job(Struct, frozen=True, kw_only=True):
    """A job with its latest run. `fence` is the highest ever given out for it."""

    seq: int
    id: str
    spec: JobSpec  # without what is never shown: see core/secrets.py
    environment: str | None  # names what is kept apart: the hash of an environment, or random where there are secrets
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
    stop: str | None = None  # why the run is being ended: cancelled, restart, restart_from_start or restart_stalled
    key_slot: int = 0  # among the live jobs of its key: 0 holds it, 1 waits for it
    blocked: Blocked | None = None  # why a queued job cannot be claimed: what it waits for
    waits_on: str | None = None  # the label whose limit it waits for
    awaited: bool = False  # others wait for its end, or did
    line_at: float = 0.0  # its date in the line of its queue, and its turn: see core/line.py
    turn_at: float = 0.0
    outcome: RunOutcome | None = None
    reason: str | None = None  # why the latest run ended so; while a wish to cancel is carried out: whose, and why
    error: ErrorInfo | None = None

    @property
    def saved(self) -> int:
        """Counts the checkpoints and the results of steps that the job can go on from; rises with each of them."""
        return self.checkpoint_seq + (0 if self.run is None else self.run.steps)

    @property
    def has_advanced(self) -> bool:
        """Whether the latest run has saved anything."""
        return self.run is not None and self.saved > self.run.saved_before

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
    "NULL", "Blocked", "Entry", "ErrorInfo", "Exit", "FailedItem", "Identity", "Job", "JobSpec", "JobState", "Moment",
    "Peer", "Progress", "Run", "RunOutcome", "RunRef", "RunState", "SavedCheckpoint", "Usage",
]  # fmt: skip
