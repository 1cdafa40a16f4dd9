"""Group commit: one transaction for what waits, each change on its own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from contract.deeds import Heard, claim, claiming, ending, item, saving, start, submit, submitting
from jobkeepd.core.model import RunRef
from jobkeepd.errors import StaleToken, StorageFailed, StoreError, UnknownJob
from jobkeepd.store.base import JobFilter
from jobkeepd.store.changes import MarkRunning, Note, Submitted
from jobkeepd.store.sqlite import SqliteStore
from store.conftest import Open
from store.trouble import Failing, Gate, break_store, transactions_of

pytestmark = pytest.mark.anyio


async def test_what_arrives_during_a_commit_goes_into_the_next(open_store: Open, heard: Heard) -> None:
    """A hundred waiters cost one more transaction, and hear of it before they are answered."""
    store = await open_store()
    gate = Gate(store)
    first = asyncio.ensure_future(submit(store, "a"))
    await asyncio.to_thread(gate.entered.wait, 60)
    others = [asyncio.ensure_future(submit(store, f"b{number:02}")) for number in range(100)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, *others)
    assert (gate.batches, heard.batches, len(heard.entries)) == ([1, 100], 2, 101)


async def test_a_refused_change_leaves_the_others_of_its_batch_committed(open_store: Open, heard: Heard) -> None:
    """Refusals of every kind, in one batch with changes that are fine."""
    store = await open_store()
    await submit(store, "a0", key="k")
    outcomes = await asyncio.gather(
        submit(store, "a1"),
        submit(store, "a2", key="k"),
        store.apply(MarkRunning(run=RunRef("a0", 1, 1), at=1.0)),
        store.apply(claiming("zz")),
        submit(store, "a3"),
        return_exceptions=True,
    )
    assert [type(o).__name__ for o in outcomes] == ["Submitted", "KeyTaken", "StaleToken", "UnknownJob", "Submitted"]
    assert [job.id for job in await store.list(JobFilter())] == ["a3", "a1", "a0"]
    assert [entry.seq for entry in heard.entries] == [1, 2, 3]


async def test_a_change_that_fails_after_it_has_written_is_undone_alone(open_store: Open, heard: Heard) -> None:
    """A second job with the same id breaks a constraint in the midst of its submit."""
    store = await open_store()
    await submit(store, "a1")
    outcomes = await asyncio.gather(
        submit(store, "a2"), submit(store, "b1", "b2", "a1", "b3"), submit(store, "a3"), return_exceptions=True
    )
    assert isinstance(outcomes[1], sqlite3.IntegrityError)
    assert [job.id for job in await store.list(JobFilter())] == ["a3", "a2", "a1"]
    assert [job.seq for job in await store.list(JobFilter())] == [3, 2, 1]
    assert [entry.seq for entry in heard.entries] == [1, 2, 3]
    assert await store.entries(0, 100) == heard.entries
    assert await store.counts() == {("default", "queued"): 3}
    assert store.cached("b1") is None


async def test_a_fault_that_only_a_table_finds_is_undone_between_steps_of_one_job(
    open_store: Open, heard: Heard
) -> None:
    """The steps before and after it are done again, and nothing is done twice."""
    store = await open_store()
    await submit(store, "a1")
    job = await start(store, "a1")
    outcomes = await asyncio.gather(
        store.apply(saving(job, 1, item("x"))),
        store.apply(saving(job, 2, item("y"))),
        submit(store, "a2", "a1"),
        store.apply(saving(job, 3, item("z"))),
        store.apply(Note(kind="odd", at=1.0, job="a1", run=1 << 70)),
        store.apply(Note(kind="even", at=1.0, job="a1")),
        store.apply(ending(job)),
        submit(store, "a3"),
        return_exceptions=True,
    )
    failed = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    assert failed == [2, 4]
    assert [i.key for i in await store.failed_items("a1", 0, 9)] == ["x", "y", "z"]
    assert heard.kinds("a1") == ["submitted", "started", "even", "ended", "succeeded"]
    assert await store.entries(0, 100) == heard.entries
    assert await store.history("a1") == [entry for entry in heard.entries if entry.job == "a1"]
    assert await store.counts() == {("default", "succeeded"): 1, ("default", "queued"): 1}
    assert [job.seq for job in await store.list(JobFilter())] == [2, 1]


async def test_each_job_is_written_once_however_many_steps_it_took(open_store: Open) -> None:
    """Five steps of each of three jobs are three rows of one statement."""
    store = await open_store()
    await submit(store, "a1", "a2", "a3")
    jobs = [await claim(store, id) for id in ("a1", "a2", "a3")]
    transactions = transactions_of(store)
    counting = transactions._ledger._conn = Failing(transactions._conn, "nothing", sqlite3.Error())
    for job in jobs:
        store.send(MarkRunning(run=job.ref, at=3.0))
        for seq in (1, 2, 3):
            store.send(saving(job, seq))
        store.send(ending(job))
    await store.apply(Note(kind="odd", at=9.0))
    assert [count for sql, count in counting.many if sql.startswith("UPDATE")] == [3]


async def test_a_value_that_cannot_be_stored_refuses_only_its_change(open_store: Open) -> None:
    """Integers beyond 63 bits, text that is no Unicode."""
    store = await open_store()
    outcomes = await asyncio.gather(
        submit(store, "a1"),
        store.apply(Note(kind="odd", at=1.0, run=1 << 70)),
        store.apply(Note(kind="\ud800", at=1.0)),
        return_exceptions=True,
    )
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, True]
    assert (await submit(store, "a2")).created


async def test_a_waiter_that_leaves_cancels_nothing(open_store: Open) -> None:
    """Its change is committed, and no transaction is left open for the next."""
    store = await open_store()
    gate = Gate(store)
    waiting = [asyncio.ensure_future(submit(store, id)) for id in ("a1", "a2")]
    await asyncio.to_thread(gate.entered.wait, 60)
    late = asyncio.ensure_future(submit(store, "a3"))
    await asyncio.sleep(0)
    for task in (waiting[0], late):
        task.cancel()
    gate.opened.set()
    results = await asyncio.gather(*waiting, late, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, True]
    await submit(store, "a4")
    assert [job.id for job in await store.list(JobFilter())] == ["a4", "a3", "a2", "a1"]


@pytest.mark.parametrize("at", ["BEGIN", "COMMIT", "UPDATE"])
async def test_an_io_error_stops_the_store_for_everybody(open_store: Open, heard: Heard, at: str) -> None:
    """All of the batch and all that waits get StorageFailed; it is reported once; reads still answer."""
    store = await open_store()
    await submit(store, "a1")
    break_store(store, at, "disk I/O error", sqlite3.SQLITE_IOERR)
    outcomes = await asyncio.gather(
        submit(store, "a2"), store.apply(claiming("a1")), submit(store, "a3"), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 3
    assert [type(error) for error in heard.failures] == [StorageFailed]
    with pytest.raises(StorageFailed):
        await submit(store, "a4")
    store.send(claiming("a1"))
    assert (await store.get("a1")).state == "queued"
    assert [entry.seq for entry in heard.entries] == [1]


async def test_a_failed_commit_is_not_counted_as_a_clean_end(open_store: Open, tmp_path: Path) -> None:
    """The next open has to look."""
    store = await open_store()
    break_store(store, "COMMIT", "disk I/O error", sqlite3.SQLITE_IOERR_FSYNC)
    with pytest.raises(StorageFailed):
        await submit(store, "a1")
    await store.aclose()
    conn = sqlite3.connect(tmp_path / "db")
    assert conn.execute("SELECT value FROM meta WHERE key = 'clean'").fetchall() == [("0",)]
    conn.close()


async def test_an_error_of_the_writer_itself_stops_the_store(open_store: Open, heard: Heard) -> None:
    """Whatever it was, the state of its transaction is unknown."""
    store = await open_store()

    def broken(changes: Any) -> Any:
        raise RuntimeError("no")

    transactions_of(store).run = broken
    with pytest.raises(StorageFailed, match="RuntimeError"):
        await submit(store, "a1")
    assert len(heard.failures) == 1


async def test_a_listener_that_breaks_stops_the_store(open_store: Open, heard: Heard) -> None:
    """It has missed entries: the feed would have a gap."""

    def broken(entries: Any) -> None:
        raise RuntimeError("no")

    store = await open_store(on_entries=broken)
    with pytest.raises(StorageFailed, match="RuntimeError"):
        await submit(store, "a1")
    with pytest.raises(StorageFailed):
        await submit(store, "a2")
    assert len(heard.failures) == 1


async def test_a_closed_store_has_committed_what_was_waiting(open_store: Open) -> None:
    """And refuses what comes later."""
    store = await open_store()
    waiting = asyncio.ensure_future(submit(store, "a1"))
    await asyncio.sleep(0)
    store.send(submitting("a2"))
    await store.aclose()
    assert (await waiting).created
    with pytest.raises(StoreError, match="closed"):
        await submit(store, "a3")
    again = await open_store()
    assert [job.id for job in await again.list(JobFilter())] == ["a2", "a1"]


async def test_changes_of_a_run_are_guarded_in_sql_as_well(open_store: Open) -> None:
    """What the memory believes does not matter: the row decides."""
    store = await open_store()
    await submit(store, "a1")
    job = await start(store, "a1")
    conn = transactions_of(store)._conn
    await store._main._execute(conn.execute, "UPDATE job SET fence = 7 WHERE id = 'a1'")  # type: ignore[no-untyped-call]
    outcomes = await asyncio.gather(
        submit(store, "a3"), store.apply(ending(job)), submit(store, "a4"), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Submitted", "StaleToken", "Submitted"]
    assert str(outcomes[1]) == str(StaleToken("a1.1"))
    with pytest.raises(UnknownJob):
        await store.apply(claiming("a2"))


async def told_starts_a_task(path: Path) -> list[str]:
    """What was heard, by a task that was started by whoever was told of a commit; and what failed."""
    heard: list[str] = []
    failures: list[Exception] = []

    async def hear(outcome: Submitted) -> None:
        heard.extend(outcome.ids)

    store = await SqliteStore.open(path / "db", lambda entries: None, failures.append, long_wal=False)
    try:
        async with anyio.create_task_group() as tasks:
            over = anyio.Event()

            def told(outcome: Submitted) -> None:
                over.set()
                tasks.start_soon(hear, outcome)

            store.post(submitting("a1"), told)
            await over.wait()
    finally:
        await store.aclose()
    return heard + [repr(failure) for failure in failures]


def test_whoever_is_told_of_a_commit_may_start_a_task(tmp_path: Path) -> None:
    """Though the commit was made in another thread, and nothing is left of its caller's context."""
    code = (
        "import sys, anyio; from pathlib import Path; from store.test_batches import told_starts_a_task;"
        "print(anyio.run(told_starts_a_task, Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("['a1']\n", "")
