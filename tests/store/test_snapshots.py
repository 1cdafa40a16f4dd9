"""The window of jobs in memory."""

from __future__ import annotations

import sqlite3
from inspect import signature
from threading import get_ident
from typing import Any

import aiosqlite
import pytest
from msgspec.structs import replace

from contract.deeds import ALICE, cancel, claim, new, start, submit
from jobkeepd.core.model import Job, Run
from jobkeepd.core.weight import HEAVIEST
from jobkeepd.store.base import JobFilter
from jobkeepd.store.removal_changes import RemoveJobs
from jobkeepd.store.snapshots import Snapshots
from jobkeepd.store.writer import in_thread, post
from store.conftest import Open


def _job(id: str, state: Any = None, weight: int = 0) -> Job:
    run = None
    if state is not None:
        run = Run(number=1, fence=1, state=state, seat="s", epoch=1, cookie="c", claimed_at=1.0)
    spec = new(id, command=["x" * weight]).spec
    return Job(seq=ord(id), id=id, spec=spec, environment=None, owner=1, state="queued", created_at=1.0, run=run)


def test_the_jobs_that_changed_last_are_kept() -> None:
    """A change makes a job young again."""
    window = Snapshots(2)
    window.update([_job("a"), _job("b")])
    window.update([_job("a"), _job("c")])
    assert [window.get(id) is not None for id in "abc"] == [True, False, True]
    assert [window.by_seq(ord(id)) is window.get(id) for id in "abc"] == [True] * 3


def test_a_job_with_an_open_run_stays() -> None:
    """Until its run has ended; from then on it is one of the others."""
    window = Snapshots(1)
    window.update([_job("a", "running"), _job("b"), _job("c"), _job("d")])
    assert window.get("a") is not None
    window.update([_job("a", "ended")])
    window.update([_job("e")])
    assert window.get("a") is None


def test_heavy_jobs_are_kept_in_smaller_numbers() -> None:
    """Until they are light enough together, whether they came, ran or were removed meanwhile."""
    window, third = Snapshots(100), HEAVIEST // 3 - 1000
    window.update([_job(id, weight=third) for id in "abc"])
    assert [window.get(id) is not None for id in "abc"] == [True] * 3
    window.update([_job("d", weight=third)])
    assert [window.get(id) is not None for id in "abcd"] == [False, True, True, True]
    window.update([_job("b", "running", weight=third)], removed="c")
    window.update([_job("e", weight=third), _job("f", weight=third)])
    assert [window.get(id) is not None for id in "bdef"] == [True] * 4
    window.update([_job("g", weight=2 * HEAVIEST)])
    assert [window.by_seq(ord(id)) is not None for id in "bdefg"] == [True, False, False, False, False]
    window.update([_job("h")])
    assert window.get("h") is not None


@pytest.mark.anyio
async def test_a_recent_job_is_read_without_the_database(open_store: Open) -> None:
    """No thread hop: the reading connection is not even asked."""
    store = await open_store()
    await submit(store, "a1")
    await start(store, "a1")
    reader, store._reader = store._reader, None  # type: ignore[assignment]
    assert (await store.get("a1")).state == "running"
    store._reader = reader


@pytest.mark.anyio
async def test_a_list_shows_no_job_in_a_state_that_was_not_asked_for(open_store: Open) -> None:
    """One that has moved on in memory, but not yet for the reader, is read as the reader sees it."""
    store = await open_store(keep=2)
    for id in ("a0", "a1", "a2"):  # the first of which has left memory, so that the others are looked for on disk
        await submit(store, id)
    ahead = replace(await store.get("a1"), state="running")
    store._snapshots.update([ahead])
    queued, everything = await store.list(JobFilter(states=("queued",))), await store.list(JobFilter())
    assert [(job.id, job.state) for job in queued] == [("a2", "queued"), ("a1", "queued"), ("a0", "queued")]
    assert everything[1] is ahead


@pytest.mark.anyio
async def test_a_list_of_jobs_that_are_all_in_memory_is_made_there(open_store: Open) -> None:
    """No thread hop, and the same pages as from disk; what is not there is not left out, but asked for."""
    store = await open_store(keep=3)
    for id in ("a1", "a2", "a3", "a4"):
        await submit(store, id, labels={"odd": str(id in ("a1", "a3"))})
    pages = [JobFilter(limit=2), JobFilter(limit=1, labels=(("odd", "True"),)), JobFilter(limit=1, before=3)]
    reader, store._reader = store._reader, None  # type: ignore[assignment]
    found = [[job.id for job in await store.list(where)] for where in pages]
    store._reader = reader
    assert found == [["a4", "a3"], ["a3"], ["a2"]]
    assert [job.id for job in await store.list(JobFilter(limit=4))] == ["a4", "a3", "a2", "a1"]
    await cancel(store, "a3")
    await store.apply(RemoveJobs(jobs=("a3",), by=ALICE, at=9.0))
    assert [job.id for job in await store.list(JobFilter(limit=2))] == ["a4", "a2"]


@pytest.mark.anyio
async def test_a_list_misses_no_job_of_before_a_start(open_store: Open) -> None:
    """Those that run are in memory at once, the others are not."""
    store = await open_store()
    await submit(store, "a1")
    await start(store, "a1")
    await submit(store, "a2")
    await store.aclose()
    store = await open_store()
    assert [job.id for job in await store.list(JobFilter())] == ["a2", "a1"]


@pytest.mark.anyio
async def test_a_job_that_has_left_memory_is_read_back_and_goes_on(open_store: Open) -> None:
    """From its row it is the same as it was."""
    store = await open_store(keep=0)
    await submit(store, "a1", labels={"x": "y"})
    assert store.cached("a1") is None
    job = await claim(store, "a1")
    assert job.spec.labels == {"x": "y"}


@pytest.mark.anyio
async def test_the_private_calls_of_aiosqlite_are_as_we_know_them() -> None:
    """One function, run with the raw connection in the connection's own thread, in turn, awaited or not."""
    async with aiosqlite.connect(":memory:") as connection:
        assert list(signature(connection._execute).parameters) == ["fn", "args", "kwargs"]
        threads: list[int] = []

        def broken() -> None:
            threads.append(get_ident())
            raise RuntimeError("nobody is told")

        post(connection, broken)
        raw = await in_thread(connection, lambda conn: (conn, threads.append(get_ident()))[0])
        assert isinstance(raw, sqlite3.Connection)
        assert len(threads) == 2
        assert threads[0] == threads[1] != get_ident()
