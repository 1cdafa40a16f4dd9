"""What there is to see of a home from outside, as plain data for the verdict."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

Run = tuple[str, int]  # job, number


class RunSeen(NamedTuple):
    """As the daemon tells it. Times are seconds since the epoch."""

    number: int
    outcome: str | None
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    ended_at: float | None = None


class JobSeen(NamedTuple):
    id: str
    label: str
    state: str
    runs: tuple[RunSeen, ...] = ()
    done: int = 0
    tallies: dict[str, int] = {}
    failed_items: int = 0


class EventSeen(NamedTuple):
    seq: int
    kind: str
    job: str | None = None
    run: int | None = None
    data: dict[str, Any] = {}


class Started(NamedTuple):
    """The mark of a start: who, and when."""

    pid: int
    at: float


class Evidence(Struct, kw_only=True):
    """`acks` are the clients' notes, `kills` the killer's; the marks are files that commands and functions made."""

    seed: int
    acks: list[dict[str, Any]] = []
    kills: list[dict[str, Any]] = []
    jobs: list[JobSeen] = []
    events: list[EventSeen] = []
    starts: dict[Run, Started] = {}
    ends: dict[Run, str] = {}
    doubles: list[str] = []  # marks of second starts, and of two runs of a job at once
    items: dict[str, list[tuple[int, int]]] = {}  # job -> (run, item), one for each start of an item
    outputs: dict[tuple[str, int, str], bytes] = {}
    results: dict[str, Any] = {}
    asked_again: list[tuple[str, list[str]]] = []  # request, ids that it gave in the end
    stuck: list[str] = []  # jobs that were in no state to last when the time for it was over
    unended: list[str] = []
    survivors: dict[int, str] = {}  # processes that belong to no daemon, spawner, slot or worker
    left_behind: dict[int, str] = {}  # processes of the home after the daemon was stopped
    leftovers: list[str] = []  # files of runs that nobody needs any more
    integrity: list[str] = []  # what SQLite has to say
    wrong: list[str] = []  # whatever else was noticed
