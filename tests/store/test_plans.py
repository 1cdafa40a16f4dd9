"""Queries whose cost must not grow with the backlog use an index, whatever the planner has heard of the data."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.store import lists, opening, reads, sql_ledger, updates
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


class _OnePriority:
    """A connection to a database in which waiting jobs are of one priority."""

    def execute(self, sql: str, values: tuple[object, ...]) -> _OnePriority:
        self._row = (5,) if values[-1] != 5 else None
        return self

    def fetchone(self) -> object:
        return self._row


def _in_lane(state: JobState) -> dict[str, str]:
    queries = lists.in_lane(_OnePriority(), _FILTER, ("q", state), 1)  # type: ignore[arg-type]
    return {f"list {state} {number}": sql for number, (sql, _) in enumerate(queries)}


def _lists() -> dict[str, str]:
    anywhere = enumerate(lists.anywhere(_FILTER, 1))
    return {
        "list by label": lists.labelled(_FILTER)[0],
        **_in_lane("queued"),
        **_in_lane("scheduled"),
        **_in_lane("running"),
        **_in_lane("failed"),
        **{f"list by time {number}": sql for number, (sql, _) in anywhere},
        "list page": next(iter(lists.anywhere(JobFilter(before=9), 0)))[0],
        "list rows": f"{reads.JOBS} WHERE seq IN (?, ?)",
    }


_SORTED_BY_INDEX = {
    "dispatch": reads.QUEUED,
    "due": sql_ledger.DUE,
    "next due": reads.NEXT_DUE,
    "key": sql_ledger.KEY_HOLDER,
    "get": reads.JOB_BY_ID,
    "prefix": reads.IDS_BY_PREFIX,
    "open runs": opening.OPEN_RUNS,
    "last entry": reads.LAST_ENTRY,
    "entry": reads.ENTRY,
    "priorities": lists.PRIORITY_BELOW,
    "first since": lists.JOB_AT,
    "entries": reads.ENTRIES,
    "runs": reads.RUNS,
    "failed items": reads.FAILED_ITEMS,
    **{name: sql for name, sql in _lists().items() if name not in ("list by time 1", "list rows")},
}


@pytest.mark.parametrize("name", list(_SORTED_BY_INDEX))
def test_no_query_scans_or_sorts_a_table(conn: sqlite3.Connection, name: str) -> None:
    """SEARCH only, in the order of the index."""
    plan = _plan(conn, _SORTED_BY_INDEX[name])
    assert "SCAN" not in plan.replace("SCAN CONSTANT ROW", ""), plan
    assert "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize("name", list(_lists()))
def test_no_list_scans_the_jobs(conn: sqlite3.Connection, name: str) -> None:
    """What was created before, and ended since, is sorted; the jobs themselves are not walked."""
    plan = _plan(conn, _lists()[name])
    assert "SCAN job" not in plan, plan


def test_every_update_of_a_job_goes_by_its_row(conn: sqlite3.Connection) -> None:
    """All choices of columns, one place."""
    for wanted, sql in updates.UPDATES.items():
        if any(wanted):
            assert _plan(conn, sql) == "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"


@pytest.mark.parametrize("sql", opening.COUNTS)
def test_jobs_are_counted_in_indexes_alone(conn: sqlite3.Connection, sql: str) -> None:
    """A start with a million jobs does not read their rows."""
    plan = _plan(conn, sql)
    assert "USING COVERING INDEX" in plan, plan
    assert "TEMP B-TREE" not in plan, plan
