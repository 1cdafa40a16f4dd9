"""The interface org.jobkeep.Processes: whose the processes of the host are, and the end of those that nobody owns."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from jobkeep.protocol.interface import Interface, Method
from jobkeep.protocol.vocabulary import Text

Verdict = Literal["owned", "orphan", "foreign", "unverifiable"]
Action = Literal["killed", "would_kill", "protected", "left"]


class Process(Struct, frozen=True, kw_only=True):
    """`run` is JOB.NUMBER, or worker-SEAT for a worker that has none. `evidence` is what speaks for the verdict: slot,
    cookie, record, seen, cgroup, session or descent prove it; name, arguments, orphaned, driver and uid do so only
    together. `cpu_s` is what it has used so far.
    """

    pid: int
    command: str
    family: str | None
    run: str | None
    verdict: Verdict
    evidence: list[str]
    action: Action
    reason: str
    uid: int | None
    state: str  # as in ps(1): R, S, D, T, …
    cpu_s: float
    rss_bytes: int
    age_s: float


class Survivor(Struct, frozen=True):
    pid: int
    command: str
    reason: str


class ListParameters(Struct, forbid_unknown_fields=True):
    """`orphans`: only those. `all`: those as well that are not ours and of no family."""

    orphans: bool = False
    all: bool = False


class ListReply(Struct):
    processes: list[Process]


class CleanupParameters(Struct, forbid_unknown_fields=True):
    """`dry_run` signals nobody and says what the same call without it would do."""

    dry_run: bool = False
    reason: Text | None = None


class CleanupReply(Struct):
    killed_count: int
    protected_count: int
    active_sessions: int
    survivors: list[Survivor]
    processes: list[Process]
    dry_run: bool


class EmergencyReport(Struct):
    """What `jobkeepd emergency` prints: no reply of a daemon, which it ends. `daemon`: pids of the daemons that it has
    ended. `runs`, `sessions` and `locks` (of clients) are cleared, `queues` are paused. `unrecorded`: why not all of
    this is in the store.
    """

    killed_count: int
    protected_count: int
    active_sessions: int
    survivors: list[Survivor]
    processes: list[Process]
    dry_run: bool
    daemon: list[int]
    runs: int
    sessions: int
    locks: int
    queues: int
    unrecorded: str | None = None


INTERFACE = Interface(
    "org.jobkeep.Processes",
    "Whose the processes of the host are, and the end of those that nobody owns.",
    methods=(
        Method("List", ListParameters, ListReply, "Processes that are ours, or of a configured family."),
        Method("Cleanup", CleanupParameters, CleanupReply, "End what is left of ended runs, and orphans of families."),
    ),
)
