"""What is left in the tables of a job that was removed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from contract.deeds import failing, start, submit
from contract.test_removal import item, removing, saving, work
from jobkeepd.errors import UnknownJob
from jobkeepd.store import sql_leavings
from jobkeepd.store.base import JobFilter
from jobkeepd.store.removal_changes import EraseRemoved
from store.conftest import Open

pytestmark = pytest.mark.anyio


def _rows_of_jobs(path: Path) -> dict[str, int]:
    """How many there are in each table that speaks of single jobs."""
    conn = sqlite3.connect(path)
    tables = "SELECT m.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"
    try:
        children = [name for (name,) in conn.execute(f"{tables} AND c.name = 'job_seq'").fetchall()]
        return {name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("job", *children)}
    finally:
        conn.close()


async def test_no_row_of_a_removed_job_is_left(open_store: Open, tmp_path: Path) -> None:
    """In no table that has rows of jobs; what is to be deleted from the disk is known to the next daemon."""
    store = await open_store()
    await work(store, "a1")
    await submit(store, "a2", after=["a1"], queue_timeout_s=9.0)
    full = _rows_of_jobs(tmp_path / "db")
    assert {name for name, count in full.items() if count} >= {
        "job", "spec", "run", "checkpoint", "failed_item", "label", "result", "step", "dependency",
    }  # fmt: skip
    await store.apply(removing("a1"))
    left = _rows_of_jobs(tmp_path / "db")
    assert {name: count for name, count in left.items() if count} == {"job": 1, "dependency": 1}
    leftovers = await store.leftovers(9)
    await store.aclose()
    again = await open_store()
    assert [left.job for left in leftovers] == ["a1"]
    assert await again.leftovers(9) == leftovers
    assert (await again.counts()) == {("default", "queued"): 1}


async def test_a_job_with_too_much_to_go_in_one_commit_is_gone_at_once_all_the_same(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing finds it, and its rows are erased piece by piece, by the next daemon as well."""
    monkeypatch.setattr(sql_leavings, "AT_ONCE", 4)
    store = await open_store()
    await submit(store, "a1", "a2", labels={"team": "x"})
    job = await start(store, "a1")
    await store.apply(saving(job, 1, *(item(f"i{number}") for number in range(5))))
    await store.apply(failing(await store.get("a1")))
    await store.apply(removing("a1"))
    assert await store.counts() == {("default", "queued"): 1}
    assert [each.id for each in await store.list(JobFilter(labels=(("team", "x"),)))] == ["a2"]
    with pytest.raises(UnknownJob):
        await store.get("a1")
    assert _rows_of_jobs(tmp_path / "db")["failed_item"] == 5
    assert await store.apply(EraseRemoved(limit=2))
    await store.aclose()
    store = await open_store()
    assert [job.id for job in await store.list(JobFilter())] == ["a2"]
    left = []
    while await store.apply(EraseRemoved(limit=2)):
        left.append(_rows_of_jobs(tmp_path / "db")["failed_item"])
    assert left == [1, 0]
    assert _rows_of_jobs(tmp_path / "db")["job"] == 1
    await submit(store, "a1")  # its name is free
