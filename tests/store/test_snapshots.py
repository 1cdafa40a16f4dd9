"""The window of jobs in memory."""

from __future__ import annotations

import sqlite3
from inspect import signature
from threading import get_ident
from typing import Any

import aiosqlite
import pytest

from contract.deeds import claim, new, start, submit
from jobkeepd.core.model import Job, Run
from jobkeepd.store.snapshots import Snapshots
from jobkeepd.store.writer import in_thread, post
from store.conftest import Open


def _job(id: str, state: Any = None) -> Job:
    run = None
    if state is not None:
        run = Run(number=1, fence=1, state=state, seat="s", epoch=1, cookie="c", claimed_at=1.0)
    spec = new(id).spec
    return Job(seq=1, id=id, spec=spec, environment=None, owner=1, state="queued", created_at=1.0, run=run)


def test_the_jobs_that_changed_last_are_kept() -> None:
    """A change makes a job young again."""
    window = Snapshots(2)
    window.update([_job("a"), _job("b")])
    window.update([_job("a"), _job("c")])
    assert [window.get(id) is not None for id in "abc"] == [True, False, True]


def test_a_job_with_an_open_run_stays() -> None:
    """Until its run has ended; from then on it is one of the others."""
    window = Snapshots(1)
    window.update([_job("a", "running"), _job("b"), _job("c"), _job("d")])
    assert window.get("a") is not None
    window.update([_job("a", "ended")])
    window.update([_job("e")])
    assert window.get("a") is None


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
