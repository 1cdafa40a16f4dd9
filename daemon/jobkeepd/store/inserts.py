"""New jobs and journal entries on their way into the tables: many that are alike by one statement.

A statement for each costs several times what SQLite has to do for its row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from msgspec.structs import replace

from jobkeepd.core.model import Entry, Job
from jobkeepd.store import phases, rows

T = TypeVar("T")
FEW: Final = 8  # so many go one by one
# An entry, the seq of the one before it of its job where that is known, and the seq of the job.
Noted: TypeAlias = tuple[Entry, int | None, int | None]


def insert_jobs(conn: sqlite3.Connection, jobs: Sequence[Job], newest_at: float, tails: Mapping[str, int]) -> None:
    """`tails`: the newest entry of each."""
    values: list[tuple[Any, ...]] = []
    big: list[tuple[int, str]] = []
    labels: list[tuple[Any, ...]] = []
    written, text = None, ""
    for alike in _cut(jobs, lambda job, before: _is_like(job, before) and tails[job.id] == tails[before.id] + 1):
        first = alike[0]
        if first.spec is not written:  # many jobs of one submit may share it
            written, text = first.spec, rows.text(first.spec)
        spec: str | None = text
        if len(text) > rows.SPEC_IN_ROW:
            big += [(job.seq, text) for job in alike]
            spec = None
        if first.spec.labels:
            for job in alike:
                labels += phases.new_rows(job)
        if len(alike) <= FEW:
            values += [rows.new_job_row(job, newest_at, tails[job.id], spec) for job in alike]
        else:
            row = rows.new_job_row(first, newest_at, tails[first.id], spec)
            conn.execute(rows.INSERT_ALIKE_JOBS, (*row, rows.text([job.id for job in alike])))
    if values:
        conn.executemany(rows.INSERT_JOB, values)
    if big:
        conn.executemany(rows.INSERT_SPEC, big)
    if labels:
        conn.executemany(phases.INSERT, labels)


def insert_entries(conn: sqlite3.Connection, noted: Sequence[Noted]) -> None:
    values: list[tuple[Any, ...]] = []
    for alike in _cut(noted, _says_the_same):
        if len(alike) <= FEW:
            values += [(*rows.entry_row(entry), prev, job_seq) for entry, prev, job_seq in alike]
        else:
            ids = [entry.job for entry, _, _ in alike]
            conn.execute(rows.INSERT_ALIKE_ENTRIES, (*rows.entry_row(alike[0][0]), rows.text(ids)))
    if values:
        conn.executemany(rows.INSERT_ENTRY, values)


def _cut(things: Sequence[T], follows: Callable[[T, T], bool]) -> Iterator[list[T]]:
    """Into runs in which each follows the one before it."""
    run: list[T] = []
    for thing in things:
        if run and not follows(thing, run[-1]):
            yield run
            run = []
        run.append(thing)
    if run:
        yield run


def _is_like(job: Job, before: Job) -> bool:
    """It comes next, and nothing but its id is another. Specs that are equal may differ as text, as 1 and True do."""
    return (
        job.spec is before.spec
        and job.seq == before.seq + 1
        and replace(before, seq=job.seq, id=job.id) == job
    )  # fmt: skip


def _says_the_same(noted: Noted, before: Noted) -> bool:
    """The same of the next job, of which nothing was said before."""
    (entry, prev, _), (other, prev_of_other, _) = noted, before
    return (
        entry.data is other.data
        and prev == 0 == prev_of_other
        and replace(other, seq=other.seq + 1, job=entry.job) == entry
    )
