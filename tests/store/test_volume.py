"""Nothing costs more with many jobs than with few: counted in steps of SQLite's machine, not in time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.backlog import LIMITS, ME, NOW, RULES, Backlog, fill, id_of
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.explain import MOST_COUNTED
from jobkeepd.core.model import Job, Moment
from jobkeepd.store import lists, lookups, opening, reads
from jobkeepd.store.base import JobFilter
from jobkeepd.store.changes import Change, ClaimRun, EndRun, MakeDue, MarkRunning, NewJob, RequestStop, SubmitJobs
from jobkeepd.store.queue_changes import UnblockLimited
from jobkeepd.store.wait_changes import RedateWaits

_numbers = itertools.count()
FEW, MANY = 1_000, 20_000
LATE = NOW + 1e6


class Side:
    """A database, and what is asked of it in steps."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir()
        fill(folder / "db", count)
        self.count = count
        self.backlog = Backlog(folder / "db")
        self.conn = self.backlog.conn
        self.lanes: list[Any] = [(queue, state) for queue, state, _, _ in self.conn.execute(lookups.COUNTS)]
        self._steps = 0

    def steps(self, deed: Callable[[Side], object]) -> int:
        self._steps = 0
        self.conn.set_progress_handler(self._step, 1)
        try:
            deed(self)
        finally:
            self.conn.set_progress_handler(None, 1)
        return self._steps

    def _step(self) -> None:
        self._steps += 1

    def list(self, **where: Any) -> list[Job]:
        return lists.list_jobs(self.conn, JobFilter(limit=5, **where), self.lanes, lambda seq: None)

    @property
    def middle(self) -> int:
        return self.count // 2

    def next(self, queue: str) -> Job:
        return reads.queued(self.conn, queue, 1, ())[0]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    folder = tmp_path_factory.mktemp("volume")
    few, many = Side(folder / "few", FEW), Side(folder / "many", MANY)
    yield few, many
    few.backlog.close()
    many.backlog.close()


TIER = (("tier", "gold"),)
LOOKS: dict[str, Callable[[Side], object]] = {
    "get": lambda side: reads.get(side.conn, id_of(7)),
    "prefix": lambda side: reads.get(side.conn, id_of(7)[:13]),
    "window": lambda side: reads.queued(side.conn, "wide", 100, ()),
    "due": lambda side: reads.next_due(side.conn),
    "open": lambda side: reads.open_runs(side.conn),
    "history": lambda side: reads.history(side.conn, id_of(95)),
    "events": lambda side: reads.entries(side.conn, side.middle, 50),
    "start": lambda side: opening._start_epoch(side.conn),
    "first page": lambda side: side.list(),
    "page": lambda side: side.list(before=side.middle),
    "since": lambda side: side.list(since=LATE),
    "queued": lambda side: side.list(states=("queued",)),
    "queued, page": lambda side: side.list(states=("queued",), before=side.middle),
    "running": lambda side: side.list(states=("running",)),
    "failed": lambda side: side.list(states=("failed",), before=side.middle),
    "failed since": lambda side: side.list(states=("failed",), since=LATE),
    "queue": lambda side: side.list(queue="limited", before=side.middle),
    "queue and state": lambda side: side.list(queue="wide", states=("scheduled",), before=side.middle),
    "label": lambda side: side.list(labels=TIER),
    "label, page": lambda side: side.list(labels=TIER, before=side.middle),
    "label and failed": lambda side: side.list(labels=TIER, states=("failed",), before=side.middle),
    "label and scheduled": lambda side: side.list(labels=TIER, states=("scheduled",), before=side.middle),
    "label, none runs": lambda side: side.list(labels=TIER, states=("running",)),
    "label and queue": lambda side: side.list(labels=TIER, queue="limited", before=side.middle),
    "label since": lambda side: side.list(labels=TIER, since=LATE),
}


def submitting(side: Side, queue: str, **spec: Any) -> SubmitJobs:
    new = NewJob(f"new-{next(_numbers)}", JobSpec(command=["x"], queue=queue, **spec), None)
    return SubmitJobs(jobs=(new,), by=ME, at=NOW + 1e5, rules=RULES, limits=LIMITS, now=Moment("boot", 1.0))


def claiming(job: Job) -> ClaimRun:
    return ClaimRun(job=job.id, seat="s", epoch=1, cookie="c", at=LATE, now=Moment("boot", 1.0), limits=LIMITS)


def run_one(queue: str) -> Callable[[Side], object]:
    """Pick it, claim it, run it, end it, each with its own commit: as dispatch does."""

    def run(side: Side) -> None:
        (claimed,) = side.backlog.apply(claiming(side.next(queue)))
        assert claimed is not None
        side.backlog.apply(MarkRunning(run=claimed.ref, at=LATE))
        side.backlog.apply(EndRun(run=claimed.ref, outcome="succeeded", state="succeeded", at=LATE))

    return run


def change(*changes: Callable[[Side], Change]) -> Callable[[Side], object]:
    return lambda side: [side.backlog.apply(each(side)) for each in changes]


def after_label(side: Side) -> SubmitJobs:
    return submitting(side, "wide", after_label={"client": "c99"}, name="fan-in")


DEEDS: dict[str, Callable[[Side], object]] = {
    "submit": change(lambda side: submitting(side, "wide", labels={"client": "c1", "tier": "gold"})),
    "submit, turns": change(lambda side: submitting(side, "fair", labels={"client": "c1"})),
    "submit, limit": change(lambda side: submitting(side, "limited", labels={"account": "a1"}, name="n")),
    "cancel": change(lambda side: RequestStop(job=side.next("wide").id, stop="cancelled", by=ME, at=LATE)),
    "run": run_one("wide"),
    "run, turns": run_one("fair"),
    "run, limit": run_one("limited"),
    "nothing due": change(lambda side: MakeDue(at=NOW, rules=RULES)),
    "start, limits": change(lambda side: UnblockLimited(at=LATE)),
    "start, deadlines": change(lambda side: RedateWaits(at=LATE, now=Moment("boot", 1.0))),
}


def judged(sides: Sequence[Side], deed: Callable[[Side], object]) -> tuple[int, int]:
    few, many = (side.steps(deed) for side in sides)
    return few, many


@pytest.mark.parametrize("name", [*LOOKS, *DEEDS])
def test_what_it_takes_does_not_grow_with_the_backlog(sides: tuple[Side, Side], name: str) -> None:
    """At most half as much again with twenty times as many jobs."""
    few, many = judged(sides, {**LOOKS, **DEEDS}[name])
    assert few > 0
    assert many <= 1.5 * few + 20, (few, many)


def test_who_goes_first_is_counted_up_to_a_bound(sides: tuple[Side, Side]) -> None:
    """However many there are: explain says that there are at least so many."""
    _, many = sides
    last = reads.get(many.conn, id_of(MANY - 35))
    assert reads.ahead(many.conn, last) == MOST_COUNTED
    assert many.steps(lambda side: reads.ahead(side.conn, last)) < 10 * MOST_COUNTED


def test_what_walks_the_jobs_is_seen(sides: tuple[Side, Side]) -> None:
    """So the verdict can fail."""
    few, many = judged(sides, lambda side: side.conn.execute("SELECT count(*) FROM job WHERE name = 'x'").fetchall())
    assert many > 10 * few


def test_counts_are_those_of_the_rows(sides: tuple[Side, Side]) -> None:
    """However they came there: submitted, started, ended, cancelled."""
    for side in sides:
        lanes = "queue, state, owner"
        counted = side.conn.execute(f"SELECT {lanes}, count(*) FROM job GROUP BY {lanes}").fetchall()
        assert sorted(side.conn.execute(lookups.COUNTS).fetchall()) == sorted(counted)
