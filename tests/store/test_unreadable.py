"""A row that makes no sense to this version hides no other, and keeps no daemon from starting."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from contract.deeds import ALICE, cancel, claim, ending, start, submit
from jobkeepd.errors import LockTaken, UnreadableJob
from jobkeepd.store.base import JobFilter
from jobkeepd.store.changes import EndRun
from jobkeepd.store.lock_changes import ResetLock

from .conftest import Open

pytestmark = pytest.mark.anyio


def spoil(path: Path, job: str, column: str, text: str) -> None:
    """As a later version, or a bad disk, may have left it."""
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        assert conn.execute(f"UPDATE job SET {column} = ? WHERE id = ?", (text, job)).rowcount == 1
    finally:
        conn.close()


@pytest.mark.parametrize(
    ("column", "text"), [("spec", '{"command": 7}'), ("spec", "{"), ("run", '{"number": "one"}'), ("tallies", "[]")]
)
async def test_one_unreadable_job_hides_no_other(open_store: Open, tmp_path: Path, column: str, text: str) -> None:
    """Neither an open one nor one that waits; it is counted, and its seat is known to be in use."""
    store = await open_store()
    await submit(store, "bad", "good", "wait", "worse")
    await start(store, "bad")
    await claim(store, "good")
    await store.aclose()
    spoil(tmp_path / "db", "bad", column, text)
    spoil(tmp_path / "db", "worse", "spec", "no JSON")

    store = await open_store()
    assert [job.id for job in await store.open_runs()] == ["good"]
    assert [job.id for job in await store.queued("default", 10)] == ["wait"]
    assert {job.id for job in await store.list(JobFilter())} == {"good", "wait"}
    assert await store.open_seats() == {"bad.1": "slot-1", "good.1": "slot-1"}
    assert await store.counts() == {("default", "running"): 1, ("default", "queued"): 3}
    for call in (store.get("bad"), cancel(store, "bad")):
        with pytest.raises(UnreadableJob, match="job bad cannot be read"):
            await call
    good: EndRun = ending(await store.get("good"), outcome="interrupted", state="queued")
    await store.apply(good)
    assert {job.id for job in await store.queued("default", 10)} == {"good", "wait"}


async def test_unreadable_jobs_take_no_place_among_those_that_are_read_together(
    open_store: Open, tmp_path: Path
) -> None:
    """Fewer than were asked for are all there are: the others would wait for ever."""
    store = await open_store()
    await submit(store, "bad", "a", "b", "c")
    await store.aclose()
    spoil(tmp_path / "db", "bad", "spec", "{")

    store = await open_store()
    assert [job.id for job in await store.queued("default", 2)] == ["a", "b"]
    assert [job.id for job in await store.queued("default", 2, ["a"])] == ["b", "c"]


async def test_the_lock_of_an_unreadable_job_is_freed_once_nothing_is_left_of_its_run(
    open_store: Open, tmp_path: Path
) -> None:
    """Its end will never be on record; and who waits for the lock may have it."""
    store = await open_store()
    await submit(store, "bad", "next", lock="l")
    await start(store, "bad")
    await store.aclose()
    spoil(tmp_path / "db", "bad", "spec", "{")

    store = await open_store()
    reset = ResetLock(name="l", token=1, by=ALICE, at=9.0, reason="why")
    with pytest.raises(LockTaken):
        await store.apply(reset)
    free = await store.apply(replace(reset, left=False))
    assert (free.holder, free.token) == (None, 2)
    assert (await store.entries(0, 100))[-1].data == {"lock": "l", "token": 2, "reason": "why", "unreadable": "bad"}
    assert (await claim(store, "next")).run is not None
