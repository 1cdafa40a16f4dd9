"""Queries whose cost must not grow with the backlog use an index, whatever the planner has heard of the data."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkeepd.store import opening, reads, sql_ledger
from jobkeepd.store.base import JobFilter

_FILTER = JobFilter(before=9, since=1.0, labels=(("a", "b"), ("c", "d")), states=("failed",), queue="q")


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "db"
    opening.create_file(path)
    conn = sqlite3.connect(path, isolation_level=None)
    opening.prepare(conn, path)
    yield conn
    conn.close()


def _plan(conn: sqlite3.Connection, sql: str) -> str:
    marks = sql.count("?")
    return "\n".join(row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", ["1"] * marks))


def _lists() -> dict[str, str]:
    conditions, values = reads._conditions(_FILTER)
    return {
        "list by label": reads.labelled(_FILTER, conditions, values)[0],
        "list by lane": reads.in_lane(_FILTER, ("q", "failed"), conditions, values)[0],
        "list by time": reads.recent(_FILTER)[0],
        "list page": "SELECT seq FROM job WHERE job.seq < ? ORDER BY seq DESC LIMIT ?",
        "list rows": f"{reads._JOBS} WHERE seq IN (?, ?)",
    }


_SORTED_BY_INDEX = {
    "dispatch": reads.QUEUED,
    "due": sql_ledger.DUE,
    "next due": reads.NEXT_DUE,
    "key": sql_ledger.KEY_HOLDER,
    "get": reads.JOB_BY_ID,
    "prefix": reads.IDS_BY_PREFIX,
    "open runs": opening.OPEN_RUNS,
    "history": reads.HISTORY,
    "entries": reads.ENTRIES,
    "runs": reads.RUNS,
    "failed items": reads.FAILED_ITEMS,
    **{name: sql for name, sql in _lists().items() if name not in ("list by time", "list rows")},
}


@pytest.mark.parametrize("name", list(_SORTED_BY_INDEX))
def test_no_query_scans_or_sorts_a_table(conn: sqlite3.Connection, name: str) -> None:
    """SEARCH only, in the order of the index."""
    plan = _plan(conn, _SORTED_BY_INDEX[name])
    assert "SCAN" not in plan.replace("SCAN CONSTANT ROW", ""), plan
    assert "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize("name", list(_lists()))
def test_no_list_scans_the_jobs(conn: sqlite3.Connection, name: str) -> None:
    """By time, what was found in two indexes is merged and sorted; the jobs themselves are not walked."""
    plan = _plan(conn, _lists()[name])
    assert "SCAN job" not in plan, plan


def test_every_update_of_a_job_goes_by_its_row(conn: sqlite3.Connection) -> None:
    """Fifteen choices of columns, one place."""
    for wanted, sql in sql_ledger.UPDATES.items():
        if any(wanted):
            assert _plan(conn, sql) == "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"
