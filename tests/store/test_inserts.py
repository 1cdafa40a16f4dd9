"""Rows of new jobs and of the journal are the same, whether many are written by one statement or each by its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from contract.deeds import Heard, new, start, submit, submitting
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.store import inserts
from jobkeepd.store.changes import NewJob, SubmitJobs
from jobkeepd.store.writer import in_thread
from store.conftest import Open

pytestmark = pytest.mark.anyio

TABLES = ("job", "spec", "label", "journal", "environment", "tally")


def of_one(spec: JobSpec, names: Sequence[str], environment: str | None = None) -> list[NewJob]:
    return [NewJob(name, spec, environment) for name in names]


def numbered(letter: str, count: int) -> list[str]:
    return [f"{letter}{number:03}" for number in range(count)]


def batches() -> list[SubmitJobs]:
    """Alike, alike but for what follows, and in turns with others."""
    plain = JobSpec(command=["/bin/true"], env={"NOTE": "it's \"quoted\" \u00e9 \U0001f600 \\ \n"})
    labelled = JobSpec(command=["/bin/true"], labels={"team": "x", "tier": "1"}, priority=3)
    big = JobSpec(command=["/bin/true", "x" * 2000])
    late = JobSpec(command=["/bin/true"], delay_s=5.0)
    mixed = [
        *of_one(plain, numbered("b", 20)), *of_one(labelled, numbered("c", 20)), *of_one(big, numbered("d", 20)),
        *of_one(late, numbered("e", 20)), new("f000", name="alone"), *of_one(plain, numbered("g", 20), "e1"),
        *of_one(plain, numbered("h", 20), "e2"),
        *(new(id, function="m:f", command=None, arguments={"n": value}) for id, value in
          zip(numbered("i", 20), [1, True] * 10, strict=True)),
    ]  # fmt: skip
    alike = submitting("x")
    return [
        replace(alike, jobs=tuple(of_one(plain, numbered("a", 50)))),
        replace(alike, jobs=tuple(mixed), environments=(("e1", b"{}"), ("e2", b"{}"))),
    ]


async def rows_of(open_store: Open, path: Path) -> dict[str, list[Any]]:
    store = await open_store(path)
    for change in batches():
        await store.apply(change)
    await submit(store, *numbered("z", 30), at=2.0)
    await start(store, "a007")
    await store.aclose()
    with closing(sqlite3.connect(path)) as conn:
        return {table: sorted(conn.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


async def test_alike_jobs_come_to_the_same_rows_by_one_statement(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also between others, with labels, with a spec that is too big for its row, and with what equals but is not the
    same; the later entries of such a job follow its first.
    """
    at_once = await rows_of(open_store, tmp_path / "at-once")
    monkeypatch.setattr(inserts, "FEW", 10_000)
    assert at_once == await rows_of(open_store, tmp_path / "one-by-one")
    assert [len(at_once[table]) for table in ("job", "journal", "spec", "label")] == [221, 222, 20, 40]
    one, true = '{"n":1}', '{"n":true}'
    specs = [spec for row in at_once["job"] for spec in row if isinstance(spec, str) and '"function":"m:f"' in spec]
    assert [(one in spec, true in spec) for spec in specs] == [(True, False), (False, True)] * 10


async def test_a_batch_takes_a_few_statements(open_store: Open) -> None:
    """Not one for each of its jobs."""
    store = await open_store()
    spec = JobSpec(command=["/bin/true"])
    seen: list[str] = []
    await in_thread(store._main, lambda conn: conn.set_trace_callback(seen.append))
    await store.apply(replace(submitting("x"), jobs=tuple(of_one(spec, numbered("a", 1000)))))
    assert len(seen) < 10


async def test_an_id_that_is_taken_refuses_its_batch_alone(open_store: Open, tmp_path: Path, heard: Heard) -> None:
    """The others of the same commit stay whole, with numbers and history that have no gaps."""
    store = await open_store()
    await submit(store, "a005")
    spec = JobSpec(command=["/bin/true"])
    good, bad = (replace(submitting("x"), jobs=tuple(of_one(spec, numbered(letter, 50)))) for letter in "ba")
    applied = [asyncio.create_task(store.apply(change)) for change in (good, bad, submitting("c"))]
    outcomes = await asyncio.gather(*applied, return_exceptions=True)
    assert [isinstance(outcome, sqlite3.IntegrityError) for outcome in outcomes] == [False, True, False]
    assert await store.counts() == {("default", "queued"): 52}
    assert [entry.seq for entry in heard.entries] == list(range(1, 53))
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "db")) as conn:
        told = "SELECT job.seq, journal.seq FROM job JOIN journal ON journal.seq = last_entry AND job = id ORDER BY 1"
        assert conn.execute(told).fetchall() == [(number, number) for number in range(1, 53)]
